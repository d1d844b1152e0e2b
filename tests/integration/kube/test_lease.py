"""Leader election on a real API server, outages of it included."""

import asyncio

import pytest

from modelrunner.kube.client import KubeClient
from modelrunner.kube.lease import LeaderElector, LeaseTimes
from modelrunner.kube.resources import LEASES
from tests.cluster.control_plane import ControlPlane

pytestmark = pytest.mark.control_plane
TIMES = LeaseTimes(duration=3.0, renew_deadline=2.0, retry_period=0.2)


def candidate(
    client: KubeClient, namespace: str, identity: str, times: LeaseTimes = TIMES
) -> LeaderElector:
    """A candidate for the namespace's lease."""
    return LeaderElector(client, namespace, "op", identity, times=times)


async def test_one_leads_and_the_other_takes_over_when_it_dies(
    client: KubeClient, namespace: str
) -> None:
    """Within the lease's duration and a poll."""
    first, second = candidate(client, namespace, "a"), candidate(client, namespace, "b")
    await first.acquire()
    hold = asyncio.create_task(first.hold())
    waiting = asyncio.create_task(second.acquire())
    done, _ = await asyncio.wait({waiting}, timeout=4)
    assert not done
    hold.cancel()
    loop = asyncio.get_running_loop()
    died = loop.time()
    await asyncio.wait_for(waiting, 10)
    assert 2.5 <= loop.time() - died <= 5
    lease = await client.get(LEASES, namespace, "op")
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == "b"
    assert lease["spec"]["leaseTransitions"] == 1
    assert len(lease["spec"]["renewTime"]) == len("2026-01-01T00:00:00.000000Z")


async def test_a_release_hands_over_within_a_poll(client: KubeClient, namespace: str) -> None:
    """A rolling update does not wait for the lease to expire."""
    slow = LeaseTimes(duration=60, renew_deadline=40, retry_period=0.2)
    first, second = (candidate(client, namespace, name, slow) for name in "ab")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await asyncio.wait({waiting}, timeout=0.5)
    await first.release()
    await asyncio.wait_for(waiting, 3)
    assert second.leading


async def test_racing_candidates_make_one_leader(client: KubeClient, namespace: str) -> None:
    """Five at the same moment on a fresh lease."""
    candidates = [candidate(client, namespace, str(number)) for number in range(5)]
    tasks = [asyncio.create_task(one.acquire()) for one in candidates]
    await asyncio.wait(tasks, timeout=1.5)
    assert sum(one.leading for one in candidates) == 1
    for task in tasks:
        task.cancel()


async def test_a_restart_of_the_api_server_is_survived(
    client: KubeClient, namespace: str, control_plane: ControlPlane
) -> None:
    """An outage shorter than the renew deadline changes nothing."""
    times = LeaseTimes(duration=60, renew_deadline=50, retry_period=0.2)
    leader = candidate(client, namespace, "a", times)
    await leader.acquire()
    hold = asyncio.create_task(leader.hold())
    await asyncio.to_thread(control_plane.stop_apiserver)
    await asyncio.to_thread(control_plane.start_apiserver)
    before = await client.get(LEASES, namespace, "op")
    assert before is not None
    async with asyncio.timeout(10):
        while True:
            now = await client.get(LEASES, namespace, "op")
            assert now is not None
            if now["spec"]["renewTime"] != before["spec"]["renewTime"]:
                break
            await asyncio.wait({hold}, timeout=0.2)
    assert leader.leading
    assert not hold.done()
    hold.cancel()
