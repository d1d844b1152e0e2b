"""What goes wrong while clients wait or read, and what they are told."""

import concurrent.futures
import json
import time
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest

from modelrunner_protocol.runner import STATUS_PATH
from tests.e2e.test_gateway import CHAT, sleep
from tests.e2e.test_spine import chat
from tests.support import manifests
from tests.support.stack import RELEASE, SYSTEM_NAMESPACE, Stack, condition

pytestmark = [pytest.mark.cluster, pytest.mark.alone]


def test_client_that_caused_the_wake_leaves(
    stack: Stack, default_runner: str, gateway: httpx.Client, gateway_address: str
) -> None:
    """The wake goes on without it, and the next client finds the model awake."""
    stack.apply(manifests.model(default_runner, "left", stack.http_source()))
    stack.wait_for(default_runner, "left", ready=True)
    sleep(stack, default_runner, "left")
    leaving = HTTPConnection(gateway_address.removeprefix("http://"), timeout=60)
    with closing(leaving):
        body = json.dumps(chat(f"{default_runner}/left"))
        leaving.request("POST", CHAT, body, {"Content-Type": "application/json"})
        # That soon no pod can answer, however fast it starts.
        stack.wait("the wake", lambda: _replicas(stack, default_runner, "left") == 1)
    stack.wait_for(default_runner, "left", reason="Ready")
    assert gateway.post(CHAT, json=chat(f"{default_runner}/left")).status_code == 200


@pytest.mark.parametrize("reason", ["ImagePullFailed", "Unschedulable"])
def test_hopeless_wake_is_told_with_the_models_own_reason(
    stack: Stack, namespace: str, gateway: httpx.Client, reason: str
) -> None:
    """No client waits for what cannot come: the condition's reason and sentence, at once."""
    specs: dict[str, dict[str, Any]] = {
        "ImagePullFailed": {"images": {"llamaCpp": "localhost/no-such-image:1"}},
        "Unschedulable": {"scheduling": {"nodeSelector": {"no-such": "node"}}},
    }
    stack.apply(manifests.runner(namespace, **specs[reason]))
    name = reason.lower()
    stack.apply(manifests.model(namespace, name, stack.http_source()))
    found = stack.wait_for(namespace, name, reason=reason)
    began = time.monotonic()
    answer = gateway.post(CHAT, json=chat(f"{namespace}/{name}"))
    assert time.monotonic() - began < 60
    assert answer.status_code == 503
    error = answer.json()["error"]
    assert error["code"] == reason
    assert condition(found, "Ready")["message"].split(":")[0] in error["message"]
    assert int(answer.headers["Retry-After"]) >= 1


def test_held_client_is_told_when_the_wake_turns_out_hopeless(
    stack: Stack, default_runner: str, gateway: httpx.Client
) -> None:
    """A source that fails while a request waits for it: PullFailed, not a time-out."""
    stack.apply(manifests.model(default_runner, "unpullable", stack.http_source("missing.gguf")))
    answer = gateway.post(CHAT, json=chat(f"{default_runner}/unpullable"))
    assert answer.status_code in {404, 503}
    # The gateway may not have seen the new Model yet at the first question.
    stack.wait_for(default_runner, "unpullable", reason="PullFailed")
    answer = gateway.post(CHAT, json=chat(f"{default_runner}/unpullable"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "PullFailed")


def test_model_deleted_while_a_request_is_held(
    stack: Stack, default_runner: str, gateway: httpx.Client
) -> None:
    """The waiting client gets a 404, not its own time-out."""
    path = stack.files.copy("held.gguf")
    stack.files.hold("held.gguf", after=stack.weights.stat().st_size // 2)
    stack.apply(manifests.model(default_runner, "vanishing", stack.http_source(path)))
    stack.wait_for(default_runner, "vanishing", reason="Pulling")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        body = chat(f"{default_runner}/vanishing")
        held = pool.submit(lambda: gateway.post(CHAT, json=body))
        with pytest.raises(concurrent.futures.TimeoutError):
            held.result(timeout=1)
        stack.delete("models", default_runner, "vanishing")
        answer = held.result(timeout=120)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


def test_pod_that_dies_within_a_stream(
    stack: Stack, default_runner: str, gateway: httpx.Client
) -> None:
    """The stream ends with an error event that nobody takes for the end; the next request works."""
    # So long that no machine is done with it before the pod is dead.
    config = {"contextSize": 8192}
    stack.apply(manifests.model(default_runner, "mortal", stack.http_source(), config=config))
    stack.wait_for(default_runner, "mortal", ready=True)
    (pod,) = stack.runner_pods(default_runner, "mortal")
    body = chat(f"{default_runner}/mortal", stream=True, max_tokens=8000, ignore_eos=True)
    with gateway.stream("POST", CHAT, json=body) as answer:
        lines = answer.iter_lines()
        next(lines)
        kill = ("delete", "pod", "-n", default_runner, pod["metadata"]["name"])
        stack.kubectl(*kill, "--grace-period=0", "--force", "--wait=false")
        rest = [line for line in lines if line.startswith("data: ")]
    assert '"error"' in rest[-1], rest[-3:]
    answer = gateway.post(CHAT, json=chat(f"{default_runner}/mortal"))
    assert answer.status_code == 200, answer.text


def test_model_wakes_while_no_operator_runs(
    stack: Stack, default_runner: str, gateway: httpx.Client
) -> None:
    """The gateway alone takes a model from zero to an answer."""
    stack.apply(manifests.model(default_runner, "alone", stack.http_source()))
    stack.wait_for(default_runner, "alone", ready=True)
    sleep(stack, default_runner, "alone")
    operator = ("-n", SYSTEM_NAMESPACE, f"deployment/{RELEASE}")
    selector = "app.kubernetes.io/component=operator"
    stack.kubectl("scale", *operator, "--replicas=0")
    try:
        stack.wait("no operator", lambda: not stack.objects("pods", SYSTEM_NAMESPACE, selector))
        answer = gateway.post(CHAT, json=chat(f"{default_runner}/alone"))
        assert answer.status_code == 200, answer.text
    finally:
        stack.kubectl("scale", *operator, "--replicas=2")
        stack.kubectl("rollout", "status", *operator, "--timeout=240s")
    stack.wait_for(default_runner, "alone", reason="Ready")


def test_name_of_two_models_belongs_to_the_older(
    stack: Stack, default_runner: str, gateway: httpx.Client
) -> None:
    """The younger says NameConflict and answers by its own name; it inherits the shared one."""
    alias = f"shared-{default_runner}"
    source = stack.http_source()
    stack.apply(manifests.model(default_runner, "older", source, aliases=[alias]))
    stack.wait_for(default_runner, "older", ready=True)
    stack.apply(manifests.model(default_runner, "younger", source, aliases=[alias]))
    stack.wait_for(default_runner, "younger", reason="NameConflict", kind="NameConflict")
    stack.wait_for(default_runner, "younger", ready=True)

    def answered_by(name: str) -> str:
        """Whose engine was used for a request."""
        before = _last_used(stack, default_runner, "older", "younger")
        assert gateway.post(CHAT, json=chat(name)).json()["model"] == name
        after = _last_used(stack, default_runner, "older", "younger")
        (used,) = [one for one, when in after.items() if when != before.get(one)]
        return used

    assert answered_by(alias) == "older"
    assert answered_by(f"{default_runner}/younger") == "younger"
    stack.delete("models", default_runner, "older")

    def inherited() -> bool:
        found = stack.get("models", default_runner, "younger") or {}
        return not condition(found, "NameConflict")

    stack.wait("the condition is gone", inherited)

    def younger_answers() -> bool:
        before = _last_used(stack, default_runner, "younger")
        status = gateway.post(CHAT, json=chat(alias)).status_code
        return status == 200 and _last_used(stack, default_runner, "younger") != before

    # The gateway hears of the end of the older one at its own time.
    stack.wait("the alias is the younger's", younger_answers)


def _last_used(stack: Stack, namespace: str, *models: str) -> dict[str, float | None]:
    """When each of the models was asked last, as its runner says."""
    found = {}
    for name in models:
        with stack.client(namespace, name) as runner:
            found[name] = runner.get(STATUS_PATH).json().get("lastUsedAt")
    return found


def _replicas(stack: Stack, namespace: str, name: str) -> int:
    """How many pods the Deployment wants."""
    found = stack.get("deployments", namespace, name)
    assert found is not None
    return int(found["spec"]["replicas"])
