"""Claims that somebody deletes, shares or fills beforehand."""

import httpx
import pytest

from tests.e2e.test_gateway import CHAT
from tests.e2e.test_spine import chat
from tests.support import manifests
from tests.support.stack import Stack, condition

pytestmark = pytest.mark.cluster


def test_claim_deleted_under_a_running_model(
    stack: Stack, default_runner: str, gateway: httpx.Client
) -> None:
    """It serves on and says what happens next; once asleep, its weights are pulled anew."""
    stack.apply(manifests.model(default_runner, "robbed", stack.http_source()))
    stack.wait_for(default_runner, "robbed", ready=True)
    (claim,) = stack.objects("persistentvolumeclaims", default_runner)
    name, uid = claim["metadata"]["name"], claim["metadata"]["uid"]
    stack.delete("persistentvolumeclaims", default_runner, name)
    found = stack.wait_for(default_runner, "robbed", kind="Cached", reason="Pulling")
    assert name in condition(found, "Cached")["message"]
    assert condition(found, "Ready")["status"] == "True"
    path = f"{default_runner}/robbed"
    assert gateway.post(CHAT, json=chat(path)).status_code == 200

    stack.kubectl("scale", "-n", default_runner, "deployment/robbed", "--replicas=0")

    def replaced() -> bool:
        found = stack.get("persistentvolumeclaims", default_runner, name)
        return found is not None and found["metadata"]["uid"] != uid

    stack.wait("another claim of that name", replaced)
    stack.wait_for(default_runner, "robbed", kind="Cached", ready=True)
    assert gateway.post(CHAT, json=chat(path)).status_code == 200


def test_imported_weights_need_no_source(
    stack: Stack, namespace: str, gateway: httpx.Client
) -> None:
    """`runnerd import` fills a claim; a Model whose source nobody can reach is served from it."""
    address = "http://models.invalid/smollm2.gguf"
    stack.apply(manifests.runner(namespace, cache={"existingClaim": "filled"}))
    stack.seed_claim(namespace, "filled", "incoming/smollm2.gguf")
    command = ["runnerd", "import", address, "/models/incoming/smollm2.gguf", "--root", "/models"]
    stack.run_pod(
        manifests.pod(namespace, "import", stack.images.runner, command, {"/models": "filled"})
    )
    stack.apply(manifests.model(namespace, "air", {"http": {"url": address}}))
    found = stack.wait_for(namespace, "air", ready=True)
    assert found["status"]["artifact"]["digest"] == f"sha256:{stack.weights_sha256}"
    assert gateway.post(CHAT, json=chat(f"{namespace}/air")).status_code == 200


def test_shared_claim_keeps_equal_bytes_once(stack: Stack, namespace: str) -> None:
    """Two sources of one file on one claim: the second finds the bytes by their digest."""
    stack.apply(manifests.claim(namespace, "mine"))
    stack.apply(manifests.runner(namespace, cache={"existingClaim": "mine"}))
    digest = stack.weights_sha256
    paths = [stack.files.copy(name) for name in ("once.gguf", "twice.gguf")]
    for name, path in zip(("one", "two"), paths, strict=True):
        stack.apply(manifests.model(namespace, name, stack.http_source(path, sha256=digest)))
        stack.wait_for(namespace, name, ready=True)
    size = stack.weights.stat().st_size
    assert stack.files.bytes_sent("once.gguf") >= size
    # Its header is read to resolve it.
    assert stack.files.bytes_sent("twice.gguf") < size / 10


def test_missing_claim_is_named(stack: Stack, namespace: str) -> None:
    """A ModelRunner whose existingClaim is not there: one sentence, and no pod that hangs."""
    stack.apply(manifests.runner(namespace, cache={"existingClaim": "nowhere"}))
    stack.apply(manifests.model(namespace, "lost", stack.http_source()))

    def told() -> bool:
        found = stack.get("models", namespace, "lost") or {}
        return "nowhere" in condition(found, "Ready").get("message", "")

    stack.wait("the claim is named", told)
    assert stack.objects("pods", namespace) == []
    stack.apply(manifests.claim(namespace, "nowhere"))
    stack.wait_for(namespace, "lost", ready=True)


def test_weights_are_hashed_on_demand(stack: Stack, namespace: str) -> None:
    """The annotation has a Job hash what is in place; the digest is told, the model serves on."""
    stack.apply(manifests.runner(namespace))
    stack.seed_claim(namespace, "own", "m/model.gguf")
    source = {"persistentVolumeClaim": {"name": "own", "path": "m/model.gguf"}}
    stack.apply(manifests.model(namespace, "hashed", source))
    stack.wait_for(namespace, "hashed", ready=True)
    stack.kubectl("annotate", "-n", namespace, "model", "hashed", "modelrunner.dev/verify=1")

    def sound() -> bool:
        found = stack.get("models", namespace, "hashed") or {}
        return bool(found["status"].get("verified", {}).get("result") == "Sound")

    stack.wait("the weights are found sound", sound)
    found = stack.wait_for(namespace, "hashed", ready=True)
    assert found["status"]["artifact"]["digest"] == f"sha256:{stack.weights_sha256}"


def test_damaged_weights_are_found_and_fetched_again(
    stack: Stack, default_runner: str, gateway: httpx.Client
) -> None:
    """A byte that rotted in the cache: found on demand, pulled again, and served by new pods."""
    path = stack.files.copy("rotten.gguf")
    stack.apply(manifests.model(default_runner, "rotten", stack.http_source(path)))
    stack.wait_for(default_runner, "rotten", ready=True)
    (claim,) = stack.objects("persistentvolumeclaims", default_runner)
    script = (
        "import glob;f=open(glob.glob('/models/*/*.gguf')[0],'r+b');f.seek(-100,2);b=f.read(1);"
        "f.seek(-100,2);f.write(bytes([b[0]^1]))"
    )
    mount = {"/models": claim["metadata"]["name"]}
    body = manifests.pod(
        default_runner, "rot", stack.images.runner, ["python3", "-c", script], mount
    )
    stack.run_pod(body)
    (pod,) = stack.runner_pods(default_runner, "rotten")
    before = stack.files.bytes_sent("rotten.gguf")
    stack.kubectl("annotate", "-n", default_runner, "model", "rotten", "modelrunner.dev/verify=1")

    def healed() -> bool:
        found = stack.get("models", default_runner, "rotten") or {}
        result = found["status"].get("verified", {}).get("result")
        pods = [one["metadata"]["uid"] for one in stack.runner_pods(default_runner, "rotten")]
        return result == "Damaged" and pods not in ([], [pod["metadata"]["uid"]])

    stack.wait("damage is told and other pods serve", healed)
    stack.wait_for(default_runner, "rotten", ready=True)
    assert stack.files.bytes_sent("rotten.gguf") - before >= stack.weights.stat().st_size
    assert gateway.post(CHAT, json=chat(f"{default_runner}/rotten")).status_code == 200
