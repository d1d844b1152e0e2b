"""Why something is not running: each reason on the real cluster, with a sentence that helps."""

import pytest

from tests.support import manifests
from tests.support.manifests import Manifest
from tests.support.stack import Stack, condition

pytestmark = pytest.mark.cluster


def test_runner_that_is_missing_is_told_and_noticed_when_it_comes(
    stack: Stack, namespace: str
) -> None:
    """RunnerNotFound names the runner; the Model goes on when the runner is created."""
    stack.apply(manifests.model(namespace, "lonely", stack.http_source(), runner="gpu"))
    found = stack.wait_for(namespace, "lonely", reason="RunnerNotFound")
    assert "ModelRunner gpu" in condition(found, "Ready")["message"]
    assert condition(found, "Stalled")["status"] == "True"
    stack.apply(manifests.runner(namespace, "gpu"))
    stack.wait_for(namespace, "lonely", ready=True)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"runtimeFlags": ["--model", "x"]}, "--model"),
        ({"runtimeFlags": ["--log-file=x"]}, "--log-file"),
        ({"runtimeFlags": ["--grammar", "/etc/passwd"]}, "path separator"),
    ],
)
def test_forbidden_flag_is_invalid_configuration(
    stack: Stack, default_runner: str, config: Manifest, words: str
) -> None:
    """A flag outside the allowlist, or a path, ends as a condition; nothing is created."""
    stack.apply(manifests.model(default_runner, "flags", stack.http_source(), config=config))
    found = stack.wait_for(default_runner, "flags", reason="InvalidConfiguration")
    assert words in condition(found, "Ready")["message"]
    assert stack.objects("jobs", default_runner) == []
    assert stack.objects("deployments", default_runner) == []


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"env": [{"name": "A", "value": "{{ model.nmae }}"}]}, "nmae"),
        ({"podTemplate": {"spec": {"containers": [{"name": "runner", "image": 7}]}}}, "image"),
    ],
)
def test_runner_that_cannot_be_rendered_is_told_on_its_models(
    stack: Stack, namespace: str, spec: Manifest, words: str
) -> None:
    """An undefined template variable or a podTemplate that is none is InvalidConfiguration."""
    stack.apply(manifests.runner(namespace, **spec))
    stack.apply(manifests.model(namespace, "unrendered", stack.http_source()))
    found = stack.wait_for(namespace, "unrendered", reason="InvalidConfiguration")
    assert words in condition(found, "Ready")["message"]
    assert stack.objects("pods", namespace, "app.kubernetes.io/component=runner") == []


def test_gpu_that_no_node_has_is_unschedulable(stack: Stack, namespace: str) -> None:
    """Unschedulable carries the scheduler's words."""
    accelerator = {"resource": "nvidia.com/gpu", "count": 1}
    stack.apply(manifests.runner(namespace, accelerator=accelerator))
    stack.apply(manifests.model(namespace, "gpu", stack.http_source()))
    # A claim that the scheduler has not heard of yet is one more reason, for a moment.
    found = stack.wait_for(namespace, "gpu", reason="Unschedulable", words="nvidia.com/gpu")
    assert condition(found, "Cached")["status"] == "True"


def test_image_that_cannot_be_pulled_is_told_by_name(stack: Stack, namespace: str) -> None:
    """ImagePullFailed names the image, already while the source is resolved."""
    image = "localhost/no-such-image:1"
    stack.apply(manifests.runner(namespace, images={"llamaCpp": image}))
    stack.apply(manifests.model(namespace, "imageless", stack.http_source()))
    found = stack.wait_for(namespace, "imageless", reason="ImagePullFailed")
    assert image in condition(found, "Ready")["message"]


def test_container_that_dies_is_crash_looping(stack: Stack, namespace: str) -> None:
    """CrashLooping tells the exit of a container that a podTemplate broke."""
    broken = {"name": "sidecar", "command": ["sh", "-c", "exit 3"], "image": stack.images.runner}
    sidecar = broken | {"securityContext": manifests.RESTRICTED}
    stack.apply(manifests.runner(namespace, podTemplate={"spec": {"containers": [sidecar]}}))
    stack.apply(manifests.model(namespace, "crashing", stack.http_source()))
    found = stack.wait_for(namespace, "crashing", reason="CrashLooping")
    message = condition(found, "Ready")["message"]
    assert "sidecar" in message
    assert "3" in message


def test_engine_that_refuses_its_flags_is_told_in_its_own_words(
    stack: Stack, default_runner: str
) -> None:
    """EngineFailed holds the engine's last lines, and the container is not restarted."""
    config = {"runtimeFlags": ["--threads", "nonsense"]}
    stack.apply(manifests.model(default_runner, "broken", stack.http_source(), config=config))
    found = stack.wait_for(default_runner, "broken", reason="EngineFailed")
    assert (
        "nonsense" in condition(found, "Ready")["message"]
        or "threads" in (condition(found, "Ready")["message"])
    )
    (pod,) = stack.objects("pods", default_runner, "app.kubernetes.io/component=runner")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    stack.apply(manifests.model(default_runner, "broken", stack.http_source()))
    stack.wait_for(default_runner, "broken", ready=True)


def test_engine_over_its_memory_limit_is_out_of_memory(stack: Stack, namespace: str) -> None:
    """OutOfMemory names the limit, whoever of the pod's processes the kernel ended."""
    resources = {"requests": {"memory": "96Mi"}, "limits": {"memory": "96Mi"}}
    stack.apply(manifests.runner(namespace, resources=resources))
    stack.apply(manifests.model(namespace, "hungry", stack.http_source()))
    found = stack.wait_for(namespace, "hungry", reason="OutOfMemory")
    assert "96" in condition(found, "Ready")["message"]


def test_load_that_takes_too_long_times_out(stack: Stack, namespace: str) -> None:
    """StartupTimedOut names the setting; a healthy but slow engine is not restarted for ever."""
    stack.apply(manifests.runner(namespace, startupTimeout="50ms"))
    stack.apply(manifests.model(namespace, "slow", stack.http_source()))
    found = stack.wait_for(namespace, "slow", reason="StartupTimedOut")
    assert "startupTimeout" in condition(found, "Ready")["message"]


def test_name_that_is_taken_is_left_alone(stack: Stack, default_runner: str) -> None:
    """NameConflict: a Service of the Model's name that is not ours is never touched."""
    ports = [{"port": 80}]
    stranger: Manifest = {"apiVersion": "v1", "kind": "Service"}
    stranger |= {
        "metadata": {"name": "taken", "namespace": default_runner},
        "spec": {"ports": ports},
    }
    stack.apply(stranger)
    stack.apply(manifests.model(default_runner, "taken", stack.http_source()))
    found = stack.wait_for(default_runner, "taken", reason="NameConflict")
    assert "Service" in condition(found, "Ready")["message"]
    service = stack.get("services", default_runner, "taken")
    assert service is not None
    assert "ownerReferences" not in service["metadata"]


def test_events_tell_the_transitions_once(stack: Stack, default_runner: str) -> None:
    """Each stage is one event on the Model, whatever the number of reconciles."""
    stack.apply(manifests.model(default_runner, "told", stack.http_source()))
    stack.wait_for(default_runner, "told", ready=True)

    def reasons() -> list[str]:
        events = stack.objects("events", default_runner)
        return [one["reason"] for one in events if _about(one) == ("Model", "told")]

    stack.wait("the Ready event", lambda: "Ready" in reasons())
    found = reasons()
    assert len(found) == len(set(found)), found


def _about(event: Manifest) -> tuple[str, str]:
    """Kind and name of what an event tells of: a Deployment has its Model's name."""
    return event["regarding"]["kind"], event["regarding"]["name"]
