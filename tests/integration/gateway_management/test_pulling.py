"""From POST /models/create to a Model, and from its status to the client's lines."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import ollama
import pytest

from tests.integration.gateway_management.conftest import Homes
from tests.integration.gateway_management.homes import (
    DIGEST,
    KEY,
    MODEL,
    REFRESH,
    SIZE,
    Home,
)
from tests.support.kubeapi import Refused

pytestmark = pytest.mark.control_plane

LABEL = {"modelrunner.dev/managed-by": "gateway-api"}


def test_a_model_is_made_and_followed_to_its_weights(home: Home) -> None:
    """Its name, alias, label and source; percent as layer lines; the end; then the cache's answer."""
    with home.lines({"from": "docker.io/AI/SmolLM2"}) as lines:
        assert lines.answer.status_code == 200
        assert lines.answer.headers["Content-Type"] == "text/plain"
        assert lines.answer.headers["Cache-Control"] == "no-cache"
        first = lines.next()
        assert (first["type"], first["mode"], first["layer"]) == (
            "progress",
            "pull",
            {"size": 0, "current": 0},
        )
        made = home.model("smollm2")
        assert made["metadata"]["labels"] == LABEL
        assert made["spec"] == {
            "source": {"oci": {"reference": "ai/smollm2:latest"}},
            "aliases": ["ai/smollm2:latest"],
        }
        home.pulling("smollm2", SIZE // 2)
        half = lines.until("progress", when=lambda line: line["total"] > 0)
        assert half["layer"] == {"id": DIGEST, "size": SIZE, "current": SIZE // 2}
        assert half["message"] == f"Downloaded: {SIZE / 2 / (1 << 20):.2f} MB"
        home.cached("smollm2")
        assert lines.until("success", "error")["message"] == "Model pulled successfully"
        assert lines.rest() == []
    for name in ("ai/smollm2", "smollm2", "index.docker.io/ai/smollm2:latest"):
        with home.lines({"from": name}, Accept="application/json") as lines:
            assert lines.answer.headers["Content-Type"] == "application/json"
            home.looked("smollm2")
            last = lines.until("success", "error")
            assert last["message"] == "Using cached model: 92.10 MiB"
    assert [one["id"] for one in home.ask("GET", "/v1/models").json()["data"]] == [
        "ai/smollm2:latest",
        "smollm2",
    ]
    (listed,) = home.ask("GET", "/models").json()
    assert (listed["id"], listed["tags"]) == (DIGEST, ["ai/smollm2:latest"])
    assert home.ask("GET", "/engines/df").json()["models_disk_usage"] == SIZE


def test_something_is_told_all_the_time(home: Home) -> None:
    """Without any change: the same line again, so that nobody takes silence for the end."""
    with home.lines({"from": "ai/slow"}) as lines:
        assert [lines.next()["type"] for _ in range(3)] == ["progress"] * 3


def test_what_cannot_be_pulled_ends_the_stream(home: Home) -> None:
    """Troubles that pass are warnings; the last line says what has to be mended."""
    with home.lines({"from": "ai/tensors:v1"}) as lines:
        lines.until("progress")
        home.failed("tensors-v1", "PullFailed", "the registry is busy", for_good=False)
        assert lines.until("warning")["message"] == "the registry is busy"
        home.failed("tensors-v1", "UnsupportedFormat", "it holds safetensors weights")
        last = lines.until("success", "error")
        assert last["message"] == "Error: UnsupportedFormat: it holds safetensors weights"
        assert lines.rest() == []
    with home.lines({"from": "ai/tensors:v1"}) as lines:
        home.looked("tensors-v1", message="the source has moved, but it holds safetensors, too")
        last = lines.until("success", "error")
        assert last["message"].startswith("Error: RefreshFailed: the source has moved, but")
    with home.lines({"from": "ai/tensors:v1"}) as lines:
        home.looked("tensors-v1")
        assert lines.until("success", "error")["message"].startswith("Error: UnsupportedFormat")


def test_a_source_that_has_moved_is_pulled_again(home: Home) -> None:
    """The look, the newer version's bytes while the former one serves, and its end."""
    home.create("ai/moving")
    home.merge("moving", source={"sourceKey": KEY, "key": KEY})
    with home.lines({"from": "ai/moving"}) as lines:
        assert lines.until("progress")["message"] == "looking whether the source has moved"
        home.pulling("moving", SIZE // 2)
        home.looked("moving", key="2" * 16)
        half = lines.until("progress", when=lambda line: line["total"] > 0)
        assert half["layer"]["current"] == SIZE // 2
        home.cached("moving")
        assert lines.until("success", "error")["message"] == "Model pulled successfully"
        assert lines.rest() == []
    found = home.model("moving")["metadata"]
    assert list(found["annotations"]) == [REFRESH]
    spec = {one["manager"]: one["fieldsV1"] for one in found["managedFields"]}
    assert set(spec["model-runner-gateway-api"]) == {"f:metadata", "f:spec"}
    with home.lines({"from": "ai/moving"}) as lines:
        home.looked("moving", key="2" * 16, message="cannot tell whether: the registry is away")
        last = lines.until("success", "error")
        assert last["message"].endswith("RefreshFailed: cannot tell whether: the registry is away")


def test_a_look_that_is_tried_again_is_told_at_once(home: Home) -> None:
    """Nobody waits for the next try, which may be an hour away."""
    home.create("ai/away")
    with home.lines({"from": "ai/away"}) as lines:
        lines.until("progress")
        home.merge("away", source={"sourceKey": KEY, "key": KEY, "message": "no room in the quota"})
        assert lines.until("warning")["message"] == "no room in the quota"
        why = {"message": "the registry is away.", "failedRefresh": home.asked("away")}
        home.merge("away", source={"sourceKey": KEY, "key": KEY, "failures": 1, **why})
        last = lines.until("success", "error")
        assert last["message"].endswith("the registry is away; it is tried again by itself")


def test_many_clients_are_one_request_to_look(home: Home) -> None:
    """While the operator writes the status all the time; none of them is refused."""
    home.create("ai/many")
    over = threading.Event()

    def pull(_: int) -> str:
        with home.lines({"from": "ai/many"}) as lines:
            assert lines.answer.status_code == 200, lines.answer.read()
            last: str = lines.until("success", "error")["message"]
            return last

    def writing() -> None:
        count = 0
        while not over.is_set():
            count += 1
            home.merge("many", replicas=count % 3)

    with ThreadPoolExecutor(21) as beside:
        beside.submit(writing)
        pulls = [beside.submit(pull, number) for number in range(20)]
        try:
            while wait(pulls, timeout=0.05).not_done:
                if home.asked("many"):
                    home.looked("many")
        finally:
            over.set()
        assert {one.result() for one in pulls} == {"Using cached model: 92.10 MiB"}


def test_a_uid_in_a_patch_is_a_condition(home: Home) -> None:
    """So a Model that was made anew under a name is not touched by who knew the former one."""
    made = home.by_hand("anew")
    meta = {"name": "anew", "namespace": home.namespace, "annotations": {REFRESH: "now"}}
    body = {"apiVersion": MODEL[0], "kind": MODEL[1]}
    with pytest.raises(Refused) as raised:
        home.api.merge(
            {**body, "metadata": {**meta, "uid": "00000000-0000-0000-0000-000000000000"}}
        )
    assert raised.value.status in {409, 422}
    assert REFRESH not in home.model("anew")["metadata"].get("annotations", {})
    home.api.merge({**body, "metadata": {**meta, "uid": made["metadata"]["uid"]}})
    assert home.model("anew")["metadata"]["annotations"][REFRESH] == "now"


def test_what_cannot_move_is_not_looked_at(home: Home) -> None:
    """A digest is what it is: the answer comes at once, and nothing is written."""
    reference = f"registry.example.com/fixed@{DIGEST}"
    home.create(reference)
    (made,) = home.models()
    with home.lines({"from": reference}) as lines:
        assert lines.next()["message"] == "Using cached model: 92.10 MiB"
        assert lines.rest() == []
    assert home.models() == [made]


def test_models_of_elsewhere_are_not_looked_at(homes: Homes, home: Home) -> None:
    """Where the gateway may write nothing the weights are there all the same, and it says why."""
    other = homes(
        "gateway.management.enabled=true",
        f"gateway.management.namespace={home.namespace}",
        f"watchNamespaces={{HOME,{home.namespace}}}",
    )
    other.by_hand("theirs", source={"oci": {"reference": "ai/theirs"}}, aliases=["ai/theirs"])
    other.cached("theirs")
    path = f"/models/{other.namespace}/theirs"
    other.gateway.wait("its weights", lambda: other.ask("GET", path).json()["id"] == DIGEST)
    with other.lines({"from": "ai/theirs"}) as lines:
        warning = lines.next()
        assert warning["type"] == "warning"
        assert "nobody looks whether the source has moved" in warning["message"]
        assert "has no right" in warning["message"]
        assert lines.next()["message"] == "Using cached model: 92.10 MiB"
        assert lines.rest() == []


def test_a_client_that_leaves_stops_nothing(home: Home) -> None:
    """The next one follows the same Model."""
    with home.lines({"from": "ai/left"}) as lines:
        lines.next()
    made = home.model("left")
    with home.lines({"from": "ai/left:latest"}) as lines:
        lines.until("progress")
        assert home.model("left")["metadata"]["uid"] == made["metadata"]["uid"]
        home.cached("left")
        assert lines.until("success", "error")["message"] == "Model pulled successfully"


def test_a_model_that_is_deleted_meanwhile_ends_the_stream(home: Home) -> None:
    """By whomever."""
    with home.lines({"from": "ai/gone"}) as lines:
        lines.next()
        home.api.delete(*MODEL, "gone", home.namespace)
        last = lines.until("success", "error")
    assert last["message"] == "Error: Deleted: the Model was deleted while it was pulled"


def test_two_at_once_make_one_model(home: Home) -> None:
    """And both are told of it."""
    told: list[str] = []

    def pull() -> None:
        with home.lines({"from": "ai/twice"}) as lines:
            told.append(lines.until("success", "error")["message"])

    threads = [threading.Thread(target=pull) for _ in range(4)]
    for thread in threads:
        thread.start()
    home.gateway.wait("the Model", home.models)
    home.cached("twice")
    # Who comes after its end gets it looked up.
    while any(thread.is_alive() for thread in threads):
        if home.asked("twice"):
            home.looked("twice")
        threads[len(told) % 4].join(0.05)
    assert len(told) == 4
    assert all(one.startswith(("Model pulled", "Using cached")) for one in told)
    assert [one["metadata"]["name"] for one in home.models()] == ["twice"]


def test_a_name_that_is_taken_gets_a_hash(home: Home) -> None:
    """A Model of another reference keeps its name, and its weights are nobody else's."""
    home.by_hand("team-model")
    with home.lines({"from": "registry.example.com/team/model"}) as lines:
        lines.next()
        (made,) = (one for one in home.models() if one["metadata"]["name"] != "team-model")
    assert made["metadata"]["name"].startswith("team-model-")
    assert made["spec"]["source"]["oci"]["reference"] == "registry.example.com/team/model:latest"


def test_models_of_hugging_face(home: Home) -> None:
    """The tag is the quantization."""
    with home.lines({"from": "hf.co/Owner/Name-GGUF:Q8_0", "bearer-token": "hf_secret"}) as lines:
        assert "credentialsSecret" in lines.until("warning")["message"]
        lines.until("progress")
    (made,) = home.models()
    source = {"huggingFace": {"repository": "Owner/Name-GGUF", "quantization": "Q8_0"}}
    assert made["spec"]["source"] == source
    assert "hf_secret" not in json.dumps(made)
    assert "hf_secret" not in home.gateway.log


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"from": "UPPER:::bad ref"}, 400, "Invalid model reference"),
        ({"from": "../../etc/passwd"}, 400, "Invalid model reference"),
        ({"from": "sha256:" + "0" * 64}, 400, "Invalid model reference"),
        ({"from": "hf.co/nobody"}, 400, "hf.co/OWNER/NAME"),
        ({}, 400, "from is required"),
        ({"from": 3}, 400, "from must be a string"),
        ([], 400, "JSON object"),
        ({"from": "a" * 70_000}, 413, "larger than 65536 bytes"),
    ],
    ids=range(8),
)
def test_bad_requests(home: Home, body: object, status: int, words: str) -> None:
    """One line of text, as the command line prints it; nothing is made."""
    answer = home.ask("POST", "/models/create", json=body)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert home.models() == []


def test_ollamas_pull(home: Home) -> None:
    """Ollama's own client: lines of progress, an error that is raised, and one answer at the end."""
    with ollama.Client(home.gateway.url, trust_env=False, timeout=60) as client:
        seen = []
        for line in client.pull("smol:8b", stream=True):
            seen.append(line)
            if len(seen) == 1:
                home.pulling("smol-8b", 1000)
            elif line.total:
                home.cached("smol-8b")
        assert any((one.digest, one.completed, one.total) == (DIGEST, 1000, SIZE) for one in seen)
        assert seen[-1].status == "success"
        with ThreadPoolExecutor(1) as beside:
            again = beside.submit(client.pull, "smol:8b")
            home.looked("smol-8b")
            assert again.result().status == "success"
        assert [one.model for one in client.list().models] == ["ai/smol:8b", "smol-8b:latest"]
        lines = client.pull("other", stream=True)
        next(lines)
        home.failed("other", "RunnerNotFound", "there is no ModelRunner default")
        with pytest.raises(ollama.ResponseError, match="RunnerNotFound: there is no"):
            list(lines)
        # Of a Model that lacks its ModelRunner nobody looks at the source.
        with pytest.raises(ollama.ResponseError, match="RunnerNotFound") as raised:
            client.pull("other")
        assert raised.value.status_code == 500
        client.copy("smol:8b", "mine")
        assert "mine:latest" in {one.model for one in client.list().models}
        client.delete("mine")
        client.delete("smol:8b")
        with pytest.raises(ollama.ResponseError, match="model 'smol:8b' not found"):
            client.delete("smol:8b")
    assert [one["metadata"]["name"] for one in home.models()] == ["other"]
