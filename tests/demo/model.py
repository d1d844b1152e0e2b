"""The demo's ModelRunner and Model: applied, followed with progress, asked."""

from pathlib import Path
from typing import Final

from tests.cluster.progress import Progress
from tests.support import manifests
from tests.support.kubeapi import KubeApi, Object
from tests.support.stack import Stack, condition

NAMESPACE: Final = "demo"
NAME: Final = "smollm2"
KEEP_ALIVE: Final = "10s"
_UNSEEN: Final = "waiting for the operator to look at it"
_STAGES: Final = (
    ("pod scheduled", "scheduledSeconds"),
    ("image and volumes", "imageSeconds"),
    ("engine healthy", "engineSeconds"),
    ("warmed up", "warmupSeconds"),
    ("in all", "totalSeconds"),
)


def apply(stack: Stack, url: str) -> None:
    """Create the namespace, the ModelRunner and the Model."""
    source = {"http": {"url": url, "sha256": stack.weights_sha256}}
    one = manifests.model(NAMESPACE, NAME, source, aliases=["gpt-4o-mini"], keepAlive=KEEP_ALIVE)
    stack.apply(manifests.namespace(NAMESPACE), manifests.runner(NAMESPACE), one)


def follow(stack: Stack, progress: Progress) -> Object:
    """Print each change of the Model's state until it is Ready."""
    said = ""
    found: Object = {}

    def ready() -> bool:
        nonlocal said, found
        found = stack.get("models", NAMESPACE, NAME) or {}
        status = found.get("status", {})
        one = condition(found, "Ready")
        words = status.get("download", {}).get("progress") or one.get("message", _UNSEEN)
        text = f"{status.get('phase', 'Pending')}: {words}"
        if text != said:
            said = text
            progress.say(f"Model {NAMESPACE}/{NAME}  {text}")
        current = status.get("observedGeneration") == found.get("metadata", {}).get("generation")
        return current and one.get("status") == "True"

    stack.wait("the Model is Ready", ready, seconds=300)
    return found


def show_startup(found: Object) -> None:
    """Print the cold start by stage."""
    startup = found["status"].get("startup", {})
    print("\nCold start by stage")
    for text, key in _STAGES:
        if key in startup:
            print(f"  {text:18} {startup[key]:6.2f} s")


def follow_to_sleep(stack: Stack, progress: Progress) -> None:
    """Wait until the model is scaled to zero, as its keepAlive says."""
    with progress.during(
        f"nobody asks; after {KEEP_ALIVE} without a request the model goes to zero"
    ):
        stack.wait_for(NAMESPACE, NAME, reason="ScaledToZero", seconds=120)
        stack.wait("no pod", lambda: not stack.runner_pods(NAMESPACE, NAME))
    progress.say("the model sleeps: no pod, no memory, no accelerator; the next question wakes it")


def show_next_steps(stack: Stack, gateway: str) -> None:
    """Print what is worth looking at."""
    print(stack.kubectl("get", "models,modelrunners", "-A"))
    print("Next:")
    print(f"  export KUBECONFIG={stack.provider.kubeconfig}")
    print(f"  kubectl describe model -n {NAMESPACE} {NAME}")
    body = f'{{"model":"{NAME}","messages":[{{"role":"user","content":"Hi"}}]}}'
    print(f"  curl {gateway}/v1/chat/completions -d '{body}'")
    print(f"  curl {gateway}/v1/models")
    print("  make down")


def remove(kubeconfig: Path, progress: Progress) -> None:
    """Delete the demo's namespace."""
    with KubeApi.connect(kubeconfig) as api:
        api.delete("v1", "Namespace", NAMESPACE)
    progress.say(f"the namespace {NAMESPACE} is being deleted")
