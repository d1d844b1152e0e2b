"""How models are to run."""

from modelrunner_protocol.configure import Configuration
from modelrunner_protocol.wire import Mode
from runnerd.standalone.pool.configurations import Configurations
from runnerd.standalone.pool.told import Configured, Key

A = Key("sha256:a", Mode.COMPLETION)
RANKING = Key("sha256:a", Mode.RERANKING)
EMBEDDING = Key("sha256:a", Mode.EMBEDDING)


def test_what_is_not_said_stays() -> None:
    """A second word adds to the first one, for exactly its mode."""
    known = Configurations()
    known.put(A, known.merged(A, Configuration(context_size=512)))
    known.put(A, known.merged(A, Configuration(keep_alive=60.0)))
    assert known.of(A) == Configuration(context_size=512, keep_alive=60.0)
    assert known.of(EMBEDDING) == Configuration()
    assert known.all() == [
        Configured(identity="sha256:a", mode=Mode.COMPLETION, configuration=known.of(A))
    ]
    assert known.all("sha256:b") == []


def test_ranking_falls_back() -> None:
    """A model that ranks runs as configured for completions until it is configured itself."""
    known = Configurations()
    said = Configuration(context_size=512)
    known.put(A, said)
    assert known.of(RANKING) is said
    assert known.governed(A) == (A, RANKING)
    assert known.governed(EMBEDDING) == (EMBEDDING,)
    known.put(RANKING, known.merged(RANKING, Configuration(keep_alive=1.0)))
    assert known.of(RANKING) == Configuration(keep_alive=1.0)
    assert known.governed(A) == (A,)


def test_the_same_object_while_nothing_is_said() -> None:
    """Whoever waits can see whether something was said meanwhile."""
    known = Configurations()
    assert known.of(A) is known.of(A)
    before = known.of(A)
    known.put(A, Configuration(context_size=1))
    assert known.of(A) is not before


def test_forgotten() -> None:
    """Of a model that is deleted nothing stays, in no mode."""
    known = Configurations()
    other = Key("sha256:b", Mode.COMPLETION)
    for key in (A, EMBEDDING, other):
        known.put(key, Configuration(context_size=1))
    known.forget("sha256:a")
    assert [one.identity for one in known.all()] == ["sha256:b"]
