"""Names and settings of Models that are changed and taken away, with other writers beside."""

from typing import Any

import httpx
import pytest

from tests.integration.gateway_management.homes import DIGEST, MODEL, Home

pytestmark = pytest.mark.control_plane

GITS = {"contextSize": 2048, "runtimeFlags": ["--threads", "1"]}


def configure(
    home: Home, model: str, path: str = "/engines/_configure", **body: Any
) -> httpx.Response:
    """POST there; all members but keep_alive have dashes."""
    told = {
        name if name == "keep_alive" else name.replace("_", "-"): value
        for name, value in body.items()
    }
    return home.ask("POST", path, json={"model": model, **told})


def configured(home: Home, name: str) -> dict[str, Any]:
    """What GET _configure tells of a model."""
    (found,) = home.ask("GET", "/engines/_configure", params={"model": name}).json()
    told: dict[str, Any] = found
    return told


def unchanged(home: Home, name: str, version: str) -> bool:
    """Whether nobody has written to a Model since."""
    found: str = home.model(name)["metadata"]["resourceVersion"]
    return found == version


def test_what_is_configured_is_merged(home: Home) -> None:
    """Each request adds to the one before; keep_alive touches nothing else; told in Go's names."""
    home.create("ai/smollm2")
    answer = configure(home, "ai/smollm2", context_size=4096)
    assert (answer.status_code, answer.content) == (202, b"")
    generation = home.model("smollm2")["metadata"]["generation"]
    assert configure(home, "smollm2", keep_alive="10m").status_code == 202
    raw = {"mode": "completion", "raw_runtime_flags": "--temp 0.2"}
    engines = "/engines/llama.cpp/_configure"
    assert configure(home, "smollm2", engines, **raw).status_code == 202
    answer = configure(home, "smollm2", llamacpp={"reasoning-budget": 0})
    assert answer.status_code == 202
    made = home.model("smollm2")
    assert made["spec"]["config"] == {
        "contextSize": 4096,
        "runtimeFlags": ["--temp", "0.2"],
        "llamacpp": {"reasoningBudget": 0},
    }
    assert made["spec"]["keepAlive"] == "10m0s"
    assert made["spec"]["aliases"] == ["ai/smollm2:latest"]
    assert made["metadata"]["generation"] == generation + 3
    assert configured(home, "smollm2") == {
        "Backend": "llama.cpp",
        "Model": "ai/smollm2:latest",
        "ModelID": DIGEST,
        "Mode": "completion",
        "Config": {
            "context-size": 4096,
            "runtime-flags": ["--temp", "0.2"],
            "keep_alive": "10m0s",
            "llamacpp": {"reasoning-budget": 0},
        },
    }
    version = made["metadata"]["resourceVersion"]
    assert configure(home, "smollm2", **raw).status_code == 202
    assert unchanged(home, "smollm2", version)
    answer = configure(home, "smollm2", context_size=0, runtime_flags=[])
    assert answer.status_code == 202
    assert home.model("smollm2")["spec"]["config"] == {"llamacpp": {"reasoningBudget": 0}}


def test_a_field_of_another_manager_stays_its_own(home: Home) -> None:
    """409 names who has it; beside it there is room; the same value does not change hands."""
    home.by_hand("gits", manager="argocd", config=GITS)
    version = home.model("gits")["metadata"]["resourceVersion"]
    attempts: list[tuple[dict[str, Any], str]] = [
        ({"context_size": 8192}, "contextSize"),
        ({"runtime_flags": ["--temp", "1"]}, "runtimeFlags"),
        ({"runtime_flags": []}, "runtimeFlags"),
        ({"context_size": 0}, "contextSize"),
    ]
    for body, field in attempts:
        answer = configure(home, "gits", **body)
        assert answer.status_code == 409, answer.text
        assert f"spec.config.{field}" in answer.text
        assert "belongs to argocd" in answer.text
        assert unchanged(home, "gits", version)
    answer = configure(home, "gits", context_size=2048, runtime_flags=["--threads", "1"])
    assert answer.status_code == 202
    assert unchanged(home, "gits", version)
    assert configure(home, "gits", keep_alive="-1").status_code == 202
    assert home.model("gits")["spec"]["keepAlive"] == "-1"
    # Git goes on with its own field, and meets nobody.
    home.api.apply(
        {
            "apiVersion": MODEL[0],
            "kind": MODEL[1],
            "metadata": {"name": "gits", "namespace": home.namespace},
            "spec": {
                "source": home.model("gits")["spec"]["source"],
                "config": {**GITS, "contextSize": 1024},
            },
        },
        manager="argocd",
        force=False,
    )
    assert home.model("gits")["spec"]["keepAlive"] == "-1"


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/engines/_configure", {"model": "smol", "mode": "dance"}, 400, "mode"),
        ("/engines/_configure", {"model": "smol", "keep_alive": "soon"}, 400, "keep_alive"),
        ("/engines/_configure", {"model": "smol", "keep_alive": 300}, 400, "string"),
        ("/engines/_configure", {"model": "smol", "runtime-flags": ["--log-file=x"]}, 400, "--log-file"),
        ("/engines/_configure", {"model": "smol", "vllm": {"gpu-memory-utilization": 0.5}}, 400, "vLLM"),
        ("/engines/_configure", {"model": "smol", "speculative": {"draft_model": "no"}}, 400, "draft"),
        ("/engines/_configure", {"model": "nope"}, 404, "nope"),
        ("/engines/_configure", {}, 400, "model is required"),
        ("/engines/_configure", [], 400, "object"),
        ("/engines/cuda/_configure", {"model": "smol"}, 404, "cuda"),
        ("/engines/vllm/_configure", {"model": "smol"}, 400, "llama.cpp"),
    ],
    ids=range(11),
)  # fmt: skip
def test_what_cannot_be_configured(
    home: Home, path: str, body: Any, status: int, words: str
) -> None:
    """Told in a sentence, and nothing is written."""
    home.by_hand("smol")
    home.told("smol", artifact={"format": "gguf"})
    artifact = f"/models/{home.namespace}/smol"
    home.gateway.wait(
        "its format", lambda: home.ask("GET", artifact).json()["config"].get("format") == "gguf"
    )
    version = home.model("smol")["metadata"]["resourceVersion"]
    answer = home.ask("POST", path, json=body)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert unchanged(home, "smol", version)


def test_a_draft_model_is_a_model_here(home: Home) -> None:
    """By any of its names; the Model gets the object's."""
    home.by_hand("big")
    home.by_hand("small", aliases=["ai/tiny:q4"])
    draft = {"draft_model": "ai/tiny:q4", "num_tokens": 4}
    assert configure(home, "big", speculative=draft).status_code == 202
    spec = home.model("big")["spec"]
    assert spec["config"]["speculative"] == {"draftModel": "small", "numTokens": 4}


def test_tags_come_and_go(home: Home) -> None:
    """201 with the target; the name works at once; its deletion leaves the Model."""
    home.create("ai/smollm2")
    answer = home.ask("POST", "/models/ai/smollm2/tag", params={"repo": "team/mine", "tag": "v1"})
    assert answer.status_code == 201
    assert answer.json() == {
        "message": 'Model tagged successfully with "team/mine:v1"',
        "target": "team/mine:v1",
    }
    assert home.ask("GET", "/models/team/mine:v1").json()["id"] == DIGEST
    again = home.ask("POST", "/models/smollm2/tag", params={"repo": "team/mine", "tag": "v1"})
    assert again.status_code == 201
    refused = home.ask("DELETE", "/models/ai/smollm2")
    assert (refused.status_code, "team/mine:v1" in refused.text) == (409, True)
    gone = home.ask("DELETE", "/models/team%2Fmine:v1")
    assert (gone.status_code, gone.json()) == (200, [{"Untagged": "team/mine:v1"}])
    assert home.model("smollm2")["spec"]["aliases"] == ["ai/smollm2:latest"]
    assert home.ask("POST", "/models/smollm2/tag").status_code == 400
    odd = home.ask("POST", "/models/smollm2/tag", params={"repo": "a b", "tag": "v1"})
    assert odd.status_code == 400
    assert home.ask("POST", "/models/smollm2/dance").text == 'unknown action "dance"\n'


def test_a_tag_of_another_model_is_not_taken(home: Home) -> None:
    """409 says whose it is."""
    home.by_hand("one", aliases=["gpt-4o"])
    home.by_hand("two")
    answer = home.ask("POST", "/models/two/tag", params={"repo": "gpt-4o", "tag": "latest"})
    assert (answer.status_code, f"{home.namespace}/one" in answer.text) == (409, True)
    assert "aliases" not in home.model("two")["spec"]


def test_a_model_of_this_api_is_deleted(home: Home) -> None:
    """By reference, by name or by ID: all names are told, and it is gone at once."""
    removed = [{"Untagged": "ai/smollm2:latest"}, {"Deleted": DIGEST}]
    for name in ("docker.io/ai/smollm2:latest", "smollm2", DIGEST, DIGEST[7:19]):
        assert home.create("ai/smollm2")["message"] == "Model pulled successfully"
        home.gateway.wait(
            "its ID", lambda: home.ask("GET", "/models/smollm2").json()["id"] == DIGEST
        )
        answer = home.ask("DELETE", f"/models/{name}")
        assert (answer.status_code, answer.json()) == (200, removed)
        assert home.ask("GET", "/models").json() == []
        assert home.ask("DELETE", f"/models/{name}").status_code == 404


def test_gits_models_stay(home: Home) -> None:
    """409 says who made them; an alias of theirs is theirs, too; force does both; purge neither."""
    home.by_hand("gits", manager="argocd", aliases=["gpt-4o", "gpt-4o-mini"])
    home.create("ai/smollm2")
    answer = home.ask("DELETE", "/models/gits")
    assert (answer.status_code, "by argocd" in answer.text) == (409, True)
    answer = home.ask("DELETE", "/models/gpt-4o")
    assert (answer.status_code, "argocd" in answer.text) == (409, True)
    tag = {"repo": "ours", "tag": "v1"}
    assert home.ask("POST", "/models/gits/tag", params=tag).status_code == 201
    assert home.ask("DELETE", "/models/ours:v1").json() == [{"Untagged": "ours:v1"}]
    assert home.ask("DELETE", "/models/purge").status_code == 200
    assert [one["metadata"]["name"] for one in home.models()] == ["gits"]
    forced = home.ask("DELETE", "/models/gpt-4o?force=true")
    assert forced.json() == [{"Untagged": "gpt-4o"}]
    assert home.model("gits")["spec"]["aliases"] == ["gpt-4o-mini"]
    answer = home.ask("DELETE", "/models/gits?force=true")
    assert (answer.status_code, answer.json()[0]) == (200, {"Untagged": "gpt-4o-mini"})
    assert home.models() == []


def test_what_runs_and_how(home: Home) -> None:
    """Status, ps and unload with nothing awake."""
    home.create("ai/smollm2")
    assert home.ask("GET", "/engines/status").json() == {
        "llama.cpp": "Running: 0 of 1 models have a ready runner",
        "vllm": "Not Installed: no Model runs on it",
    }
    assert home.ask("GET", "/engines/ps").json() == []
    nothing = {"unloaded_runners": 0}
    for path, body in (
        ("/engines/unload", {"all": True}),
        ("/engines/unload", {"models": ["ai/no-such-model"]}),
        ("/engines/_unload", {"model": "smollm2"}),
        ("/engines/llama.cpp/_unload", {"model": "ai/smollm2"}),
    ):
        answer = home.ask("POST", path, json=body)
        assert (answer.status_code, answer.json()) == (200, nothing), path
    assert home.ask("POST", "/engines/_unload", json={"model": "nope"}).status_code == 404
    assert home.ask("POST", "/engines/unload", json={"all": 1}).status_code == 400


def test_what_the_gateway_does_not_keep(home: Home) -> None:
    """501 with the reason."""
    for method, path in (
        ("GET", "/engines/requests"),
        ("GET", "/logs"),
        ("POST", "/engines/install-backend"),
        ("POST", "/models/smollm2/push"),
        ("GET", "/models/smollm2?remote=true"),
    ):
        answer = home.ask(method, path)
        assert (answer.status_code, len(answer.text) > 20) == (501, True), path
