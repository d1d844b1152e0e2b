"""Every part is replaced under load, and no request is lost."""

import pytest

from tests.e2e.test_spine import chat
from tests.support import manifests
from tests.support.gateway import NAME
from tests.support.stack import RELEASE, SYSTEM_NAMESPACE, Stack
from tests.support.traffic import Traffic, traffic

pytestmark = [pytest.mark.cluster, pytest.mark.alone]


def _flows(stack: Stack, seen: Traffic, more: int = 20) -> None:
    """Wait for that many further answers."""
    before = seen.served.total()
    stack.wait("more answers", lambda: seen.served.total() >= before + more)


@pytest.mark.parametrize("part", [NAME, RELEASE])
def test_rolling_update_of_our_own_parts(
    stack: Stack, default_runner: str, gateway_address: str, part: str
) -> None:
    """The gateway's and the operator's pods are replaced one after the other: nothing is lost."""
    stack.apply(manifests.model(default_runner, "carried", stack.http_source()))
    stack.wait_for(default_runner, "carried", ready=True)
    target = ("-n", SYSTEM_NAMESPACE, f"deployment/{part}")
    with traffic(gateway_address, chat(f"{default_runner}/carried")) as seen:
        _flows(stack, seen)
        stack.kubectl("rollout", "restart", *target)
        stack.kubectl("rollout", "status", *target, "--timeout=240s")
        _flows(stack, seen)
    seen.require_whole(at_least=40)


def test_rolling_update_of_a_runner(
    stack: Stack, default_runner: str, gateway_address: str
) -> None:
    """A changed contextSize replaces the model's pod under load: nothing is lost."""
    stack.apply(manifests.model(default_runner, "rolled", stack.http_source()))
    stack.wait_for(default_runner, "rolled", ready=True)
    (before,) = stack.runner_pods(default_runner, "rolled")
    with traffic(gateway_address, chat(f"{default_runner}/rolled")) as seen:
        _flows(stack, seen)
        config = {"contextSize": 1024}
        stack.apply(manifests.model(default_runner, "rolled", stack.http_source(), config=config))

        def replaced() -> bool:
            pods = stack.runner_pods(default_runner, "rolled")
            return [one["metadata"]["uid"] for one in pods] != [before["metadata"]["uid"]] and (
                len(pods) == 1
            )

        stack.wait("another pod serves alone", replaced)
        _flows(stack, seen)
    seen.require_whole(at_least=40)


def test_scale_to_zero_and_back_under_load(
    stack: Stack, default_runner: str, gateway_address: str
) -> None:
    """Taken to zero by hand again and again while clients ask: each is served, none is lost."""
    stack.apply(manifests.model(default_runner, "yoyo", stack.http_source()))
    stack.wait_for(default_runner, "yoyo", ready=True)
    with traffic(gateway_address, chat(f"{default_runner}/yoyo")) as seen:
        for _ in range(3):
            _flows(stack, seen)
            stack.kubectl("scale", "-n", default_runner, "deployment/yoyo", "--replicas=0")
        _flows(stack, seen)
    seen.require_whole(at_least=80)
