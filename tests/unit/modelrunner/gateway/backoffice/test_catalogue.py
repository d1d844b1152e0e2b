"""Lists of models: each name once, under the Model that answers to it."""

import pytest

from modelrunner.gateway.backoffice.catalogue import Catalogue, anthropic, openai
from modelrunner.gateway.table.entry import ModelEntry
from tests.unit.modelrunner.gateway.backoffice.models import ARTIFACT, model, table


def everything(_: ModelEntry) -> bool:
    """A client that may use all."""
    return True


def names(catalogue: Catalogue, engine: str = "") -> list[str]:
    """The IDs of a list."""
    return [name for name, _ in catalogue.listed(everything, engine)]


def test_a_model_is_listed_under_each_name_that_requests_may_use() -> None:
    """docker-agent finds `ai/qwen3` only where that very ID is listed."""
    catalogue = Catalogue(table(model("qwen3", aliases=["ai/qwen3:latest", "gpt-4o-mini"])))
    assert names(catalogue) == ["ai/qwen3:latest", "gpt-4o-mini", "qwen3"]


def test_a_name_is_listed_for_its_owner_only() -> None:
    """The younger of two is there as namespace/name, without the alias that it lost."""
    catalogue = Catalogue(
        table(
            model("chat", "a", created="2026-01-01T00:00:00Z", aliases=["gpt-4o"]),
            model("chat", "b", created="2026-02-01T00:00:00Z", aliases=["gpt-4o", "mine"]),
        )
    )
    found = [(name, entry.path) for name, entry in catalogue.listed(everything)]
    assert found == [
        ("b/chat", "b/chat"),
        ("chat", "a/chat"),
        ("gpt-4o", "a/chat"),
        ("mine", "b/chat"),
    ]


def test_an_engines_list_holds_what_may_be_asked_there() -> None:
    """A model whose engine is not known yet may turn out to be of any."""
    catalogue = Catalogue(
        table(model("gguf"), model("tensors", engine="vllm"), model("new", engine=""))
    )
    assert names(catalogue) == ["gguf", "new", "tensors"]
    assert names(catalogue, "vllm") == ["new", "tensors"]
    assert catalogue.one("gguf", everything, "vllm") is None


@pytest.mark.parametrize(
    "name", ["smollm2", "ai/smollm2", "docker.io/ai/smollm2:latest", "ml/smollm2"]
)
def test_one_model_is_found_in_any_spelling(name: str) -> None:
    """As a request's `model` is."""
    found = Catalogue(table(model("smollm2"))).one(name, everything)
    assert found is not None
    assert found.name == "smollm2"


def test_what_a_client_may_not_use_it_does_not_see() -> None:
    """Neither in the list nor by name."""
    catalogue = Catalogue(table(model("one", "a"), model("two", "b")))
    mine = [name for name, _ in catalogue.listed(lambda entry: entry.namespace == "a")]
    assert mine == ["one"]
    assert catalogue.one("two", lambda entry: entry.namespace == "a") is None


def test_an_entry_is_docker_model_runners() -> None:
    """The shape of dmr-golden/034, with the ID that clients compare."""
    (entry,) = table(model("smollm2")).models()
    assert openai("smollm2", entry) == {
        "id": "smollm2",
        "object": "model",
        "created": 1782907200,
        "owned_by": "docker",
        "dmr": {
            "context_window": 8192,
            "architecture": "llama",
            "parameters": "134.52M",
            "quantization": "Q4_1",
            "size": "92.1 MiB",
            "memory": "262.4 MiB",
        },
    }


def test_what_nobody_knows_yet_is_left_out() -> None:
    """A Model without a status is listed all the same."""
    (entry,) = table(model("new", artifact=None, created="not a time")).models()
    assert openai("new", entry)["dmr"] == {}
    assert openai("new", entry)["created"] == 0


@pytest.mark.parametrize(("asked", "told"), [(2048, 2048), (-1, 8192), (None, 8192)])
def test_the_context_is_the_one_that_was_asked_for(asked: int | None, told: int) -> None:
    """-1 is the model's own maximum; docker-agent shortens conversations by this number."""
    config = {} if asked is None else {"contextSize": asked}
    (entry,) = table(model("smollm2", config=config, artifact=ARTIFACT)).models()
    assert openai("smollm2", entry)["dmr"]["context_window"] == told


def test_anthropics_clients_have_their_own_shape() -> None:
    """Anthropic API reference, "List Models"."""
    (entry,) = table(model("smollm2")).models()
    assert anthropic("smollm2", entry) == {
        "type": "model",
        "id": "smollm2",
        "display_name": "smollm2",
        "created_at": "2026-07-01T12:00:00Z",
    }


def test_a_model_is_meant_by_the_last_part_of_its_name() -> None:
    """Only where that is one model's, and for who may know of it."""
    catalogue = Catalogue(
        table(
            model("one", aliases=["team/smol:v1", "other/twin"]),
            model("two", "web", aliases=["their/twin:latest"]),
        )
    )
    for name in ("smol", "smol:v1", "team/smol:v1", "one"):
        found = catalogue.meant(name, everything)
        assert found is not None, name
        assert found.name == "one"
    for name in ("twin", "nobody", "", "x/smol", "v1"):
        assert catalogue.meant(name, everything) is None, name
    allowed = catalogue.meant("twin", lambda model: model.namespace == "web")
    assert allowed is not None
    assert allowed.name == "two"


def test_tags_are_references() -> None:
    """In one spelling, each once; a name that an older model has is not among them."""
    catalogue = Catalogue(
        table(
            model("smollm2", aliases=["ai/smollm2", "GPT-4o"]),
            model("smollm2", "web", created="2026-09-01T00:00:00Z"),
        )
    )
    first, second = catalogue.models(everything)
    assert catalogue.tags(first) == ("ai/smollm2:latest", "ai/gpt-4o:latest")
    assert catalogue.tags(second) == ("web/smollm2",)


def test_a_model_is_meant_by_its_id() -> None:
    """Whole, without its prefix, or by its first digits; no request is routed by it."""
    digest = "sha256:" + "ab" * 32
    catalogue = Catalogue(
        table(model("known", artifact=ARTIFACT | {"digest": digest}), model("new", artifact=None))
    )
    known, new = catalogue.models(everything)
    assert known.identity == digest
    for entry in (known, new):
        digits = entry.identity.removeprefix("sha256:")
        assert len(digits) == 64
        for name in (entry.identity, digits, digits[:12]):
            assert catalogue.meant(name, everything) is entry
            assert catalogue.one(name, everything) is None
    for name in ("sha256:" + "0" * 64, "0" * 12, "ab" * 5, "sha256:"):
        assert catalogue.meant(name, everything) is None
