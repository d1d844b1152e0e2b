"""How a model is to run: what `_configure` takes, refuses, keeps and tells."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner_protocol.configure import (
    Configuration,
    ConfigureError,
    Speculative,
    checked,
    configure_request,
    merge,
    same_engine,
    told,
    told_entry,
)
from modelrunner_protocol.wire import Mode

_MEMBERS = ("model", "mode", "context-size", "runtime-flags", "raw-runtime-flags", "speculative")


def _configuration(**members: Any) -> Configuration:
    body = {name.replace("_", "-"): value for name, value in members.items()}
    if "keep-alive" in body:
        body["keep_alive"] = body.pop("keep-alive")
    return configure_request({"model": "m", **body}).configuration


def test_nothing_said() -> None:
    """What is absent or null is not said."""
    assert _configuration() == Configuration()
    nothing = dict.fromkeys([*_MEMBERS[1:], "keep_alive", "vllm", "llamacpp", "unknown"])
    found = configure_request({"model": "ai/x", **nothing})
    assert found.configuration == Configuration()
    assert (found.model, found.mode) == ("ai/x", None)


def test_everything_said() -> None:
    """All members arrive, and are told again under their names."""
    body = {
        "context-size": 4096,
        "runtime-flags": ["--temp", "0.2"],
        "speculative": {"draft_model": "ai/d", "num_tokens": 4, "min_acceptance_rate": 0.8},
        "keep_alive": "10m",
        "vllm": {"hf-overrides": {"a": [1, {"b": None}]}, "gpu-memory-utilization": 0.5},
        "llamacpp": {"reasoning-budget": 0},
    }
    found = configure_request({"model": "ai/x", "mode": "embedding", **body})
    assert found.mode is Mode.EMBEDDING
    assert found.configuration == Configuration(
        context_size=4096,
        runtime_flags=("--temp", "0.2"),
        speculative=Speculative(draft_model="ai/d", num_tokens=4, min_acceptance_rate=0.8),
        keep_alive=600.0,
        reasoning_budget=0,
        gpu_memory_utilization=0.5,
        hf_overrides={"a": [1, {"b": None}]},
    )
    assert told(found.configuration) == {**body, "keep_alive": "10m0s"}


def test_a_draft_without_bounds() -> None:
    """Zero says nothing, as in Docker Model Runner: the engine chooses."""
    body = {"draft_model": "d", "num_tokens": 0, "min_acceptance_rate": 0.0}
    assert _configuration(speculative=body).speculative == Speculative(draft_model="d")


@pytest.mark.parametrize(
    ("body", "flags"),
    [
        ({"runtime-flags": ["--temp", "0.2"]}, ("--temp", "0.2")),
        ({"runtime-flags": "--temp 0.2"}, ("--temp", "0.2")),
        ({"runtime-flags": ""}, ()),
        ({"runtime-flags": []}, ()),
        ({"raw-runtime-flags": "--grammar 'a b'"}, ("--grammar", "a b")),
        ({"raw-runtime-flags": ""}, None),
        ({"runtime-flags": ["-v"], "raw-runtime-flags": ""}, ("-v",)),
        ({"runtime-flags": [], "raw-runtime-flags": "-v"}, ("-v",)),
        ({"runtime-flags": "", "raw-runtime-flags": "-v"}, ("-v",)),
    ],
)
def test_flags(body: dict[str, Any], flags: tuple[str, ...] | None) -> None:
    """Flags are a list or a line, under either name; an empty one is said, an absent one is not."""
    assert configure_request({"model": "m", **body}).configuration.runtime_flags == flags


@pytest.mark.parametrize(
    ("word", "flags", "mode"),
    [
        ("completion", [], Mode.COMPLETION),
        ("embedding", [], Mode.EMBEDDING),
        ("reranking", [], Mode.RERANKING),
        ("completion", ["--embeddings"], Mode.COMPLETION),
        (None, ["--embeddings"], Mode.EMBEDDING),
        ("", ["--embeddings", "--reranking"], Mode.RERANKING),
        (None, ["--temp", "1"], None),
    ],
)
def test_mode(word: str | None, flags: list[str], mode: Mode | None) -> None:
    """The mode is what is said, else what the engine's own flags mean, else open."""
    asked = configure_request({"model": "m", "mode": word, "runtime-flags": flags})
    assert asked.mode is mode


WRONG: list[tuple[object, str]] = [
    (None, "the body must be a JSON object"),
    ([], "the body must be a JSON object"),
    ({"model": None}, "model is required"),
    ({"model": ""}, "model is required"),
    ({"model": 5}, "model must be a string"),
    ({"mode": "dance"}, 'mode must be one of "completion", "embedding", "reranking"'),
    ({"mode": 1}, "mode must be a string"),
    ({"context-size": "big"}, "context-size must be a whole number"),
    ({"context-size": True}, "context-size must be a whole number"),
    ({"context-size": 1.5}, "context-size must be a whole number"),
    ({"context-size": -2}, "context-size must be from -1 to 2147483647"),
    ({"context-size": 2**31}, "context-size must be from -1"),
    ({"runtime-flags": 5}, "runtime-flags must be a list of strings, or one string"),
    ({"runtime-flags": ["-v", 5]}, "runtime-flags must be a list of strings"),
    ({"runtime-flags": {"a": 1}}, "runtime-flags must be a list of strings"),
    ({"runtime-flags": "'open"}, "cannot be split like a shell line"),
    ({"raw-runtime-flags": ["-v"]}, "raw-runtime-flags must be a string"),
    ({"runtime-flags": ["-v"], "raw-runtime-flags": "-v"}, "say the same thing: send one of them"),
    ({"keep_alive": 300}, "keep_alive must be a string, for example"),
    ({"keep_alive": "soon"}, "keep_alive: 'soon' is not a keep-alive"),
    ({"keep_alive": ""}, "keep_alive: '' is not a keep-alive"),
    ({"keep_alive": "300"}, "keep_alive: '300' is not a keep-alive"),
    ({"speculative": "ai/d"}, "speculative must be an object"),
    ({"speculative": {"num_tokens": 4}}, "speculative.draft_model is missing"),
    ({"speculative": {"draft_model": "d", "num_tokens": -1}}, "speculative.num_tokens must be"),
    ({"speculative": {"draft_model": "d", "num_tokens": "4"}}, "speculative.num_tokens must be"),
    (
        {"speculative": {"draft_model": "d", "min_acceptance_rate": 1.1}},
        "speculative.min_acceptance_rate must be from 0.0 to 1.0",
    ),
    ({"llamacpp": []}, "llamacpp must be an object"),
    ({"llamacpp": {"reasoning-budget": "low"}}, "llamacpp.reasoning-budget must be a whole number"),
    ({"llamacpp": {"reasoning-budget": -2}}, "llamacpp.reasoning-budget must be from -1"),
    ({"vllm": "x"}, "vllm must be an object"),
    ({"vllm": {"gpu-memory-utilization": 1.01}}, "vllm.gpu-memory-utilization must be from 0.0"),
    ({"vllm": {"gpu-memory-utilization": -0.1}}, "vllm.gpu-memory-utilization must be from 0.0"),
    ({"vllm": {"gpu-memory-utilization": "0.5"}}, "vllm.gpu-memory-utilization must be a number"),
    ({"vllm": {"gpu-memory-utilization": True}}, "vllm.gpu-memory-utilization must be a number"),
    (
        {"vllm": {"gpu-memory-utilization": float("nan")}},
        "vllm.gpu-memory-utilization must be from 0.0",
    ),
    ({"vllm": {"hf-overrides": [1]}}, "vllm.hf-overrides must be an object"),
    ({"vllm": {"hf-overrides": {"a": list(range(2000))}}}, "has more than 1000 values"),
]


@pytest.mark.parametrize(("body", "says"), WRONG, ids=[str(body)[:60] for body, _ in WRONG])
def test_what_is_wrong_is_told_in_a_sentence(body: object, says: str) -> None:
    """Each member has a type and bounds, and the sentence names the member."""
    whole = {"model": "m", **body} if isinstance(body, dict) else body
    with pytest.raises(ConfigureError) as failure:
        configure_request(whole)
    assert says in str(failure.value)
    assert failure.value.status == 400


def test_images_are_known_and_not_made() -> None:
    """The mode is a word of the API, so it is no bad request."""
    with pytest.raises(ConfigureError, match="no engine here makes images") as failure:
        configure_request({"model": "m", "mode": "image-generation"})
    assert failure.value.status == 501


@pytest.mark.parametrize("utilisation", [0, 0.0, 0.5, 1, 1.0])
def test_bounds_of_the_share_of_memory(utilisation: float) -> None:
    """Both ends belong to it (docker/model-runner `vllm_config.go`)."""
    found = _configuration(vllm={"gpu-memory-utilization": utilisation})
    assert found.gpu_memory_utilization == utilisation


def test_deep_overrides_are_looked_through() -> None:
    """However deep a key lies, it is checked, and no depth breaks the check."""
    deep: dict[str, Any] = {"--bad": 1}
    for _ in range(900):
        deep = {"a": deep}
    with pytest.raises(ConfigureError, match="may not hold the key '--bad'"):
        _configuration(vllm={"hf-overrides": deep})


def test_an_empty_draft_is_none() -> None:
    """Go's clients send an object of zeros for nothing."""
    zeros = {"draft_model": "", "num_tokens": 0, "min_acceptance_rate": 0}
    assert _configuration(speculative=zeros).speculative is None


def test_flags_are_checked_for_the_backend() -> None:
    """The same flags suit one backend and not the other."""
    said = Configuration(runtime_flags=("--ctx-size", "10"))
    assert checked(said, "llama.cpp") is said
    with pytest.raises(ConfigureError, match='not allowed for backend "vllm"') as failure:
        checked(said, "vllm")
    assert (failure.value.status, failure.value.param) == (400, "runtime-flags")


def test_merging_keeps_what_is_not_said() -> None:
    """A keep_alive alone changes nothing else, and needs no other engine."""
    old = Configuration(context_size=4096, runtime_flags=("-v",), keep_alive=300.0)
    new = merge(old, Configuration(keep_alive=-1.0))
    assert new == Configuration(context_size=4096, runtime_flags=("-v",), keep_alive=-1.0)
    assert same_engine(old, new)
    assert not same_engine(old, merge(old, Configuration(context_size=2048)))


def test_merging_takes_away() -> None:
    """An empty list of flags and a context of 0 go back to the engine's own."""
    old = Configuration(context_size=4096, runtime_flags=("-v",), reasoning_budget=5)
    new = merge(old, Configuration(context_size=0, runtime_flags=(), reasoning_budget=0))
    assert new == Configuration(reasoning_budget=0)
    assert told(new) == {"llamacpp": {"reasoning-budget": 0}}


@pytest.mark.parametrize(("seconds", "text"), [(-1.0, "-1"), (0.0, "0s"), (600.0, "10m0s")])
def test_keep_alive_is_told_as_go_writes_it(seconds: float, text: str) -> None:
    """Clients parse it with Go's own parser."""
    assert told(Configuration(keep_alive=seconds)) == {"keep_alive": text}


def test_entry_has_the_names_of_go() -> None:
    """`ModelConfigEntry` has no names for JSON, so its members have those of Go."""
    assert told_entry(
        Configuration(),
        backend="llama.cpp",
        model="ai/x:latest",
        identity="sha256:1",
        mode="completion",
    ) == {
        "Backend": "llama.cpp",
        "Model": "ai/x:latest",
        "ModelID": "sha256:1",
        "Mode": "completion",
        "Config": {},
    }


_ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from((*_MEMBERS, "keep_alive", "vllm", "llamacpp")), _ANY))
def test_any_body_is_read_or_refused(body: dict[str, Any]) -> None:
    """A client may send anything; what is read is told again without loss."""
    try:
        found = configure_request(body)
    except ConfigureError:
        return
    again = configure_request({"model": found.model, **told(found.configuration)})
    assert merge(Configuration(), again.configuration) == merge(
        Configuration(), found.configuration
    )
