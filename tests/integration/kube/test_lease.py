"""Leader election on a real API server, outages of it included."""

import asyncio

import pytest

from modelrunner.kube.client import KubeClient
from modelrunner.kube.lease import LeaderElector, LeaseTimes
from modelrunner.kube.resources import LEASES
from tests.cluster.control_plane import ControlPlane

pytestmark = pytest.mark.control_plane
# How long what takes is shown in virtual time (tests/unit): here a machine may stand still for
# seconds, and nothing is to run out because of it.
LONG = LeaseTimes(duration=600, renew_deadline=500, retry_period=0.2)
BRIEF = LeaseTimes(duration=15, renew_deadline=12, retry_period=0.2)


def candidate(
    client: KubeClient, namespace: str, identity: str, times: LeaseTimes = LONG
) -> LeaderElector:
    """A candidate for the namespace's lease."""
    return LeaderElector(client, namespace, "op", identity, times=times)


async def renewed(client: KubeClient, namespace: str, times: int = 1) -> None:
    """Wait until the lease has been renewed so many times."""
    seen: set[str] = set()
    async with asyncio.timeout(120):
        while len(seen) <= times:
            lease = await client.get(LEASES, namespace, "op")
            assert lease is not None
            seen.add(lease["spec"]["renewTime"])
            await asyncio.sleep(0.05)


async def test_one_leads_and_the_other_takes_over_when_it_dies(
    client: KubeClient, namespace: str
) -> None:
    """Not while it is renewed, nor before the lease has not changed for its whole duration."""
    first, second = (candidate(client, namespace, name, BRIEF) for name in "ab")
    await first.acquire()
    hold = asyncio.create_task(first.hold())
    waiting = asyncio.create_task(second.acquire())
    await renewed(client, namespace, 5)
    assert not waiting.done()
    loop = asyncio.get_running_loop()
    # A renewal that is under way reaches the server no sooner than this.
    last = loop.time()
    await renewed(client, namespace)
    hold.cancel()
    await asyncio.wait_for(waiting, 120)
    assert loop.time() - last >= BRIEF.duration
    lease = await client.get(LEASES, namespace, "op")
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == "b"
    assert lease["spec"]["leaseTransitions"] == 1
    assert len(lease["spec"]["renewTime"]) == len("2026-01-01T00:00:00.000000Z")


async def test_a_release_hands_over_within_a_poll(client: KubeClient, namespace: str) -> None:
    """A rolling update does not wait for the lease to expire."""
    # A release may take as long as a poll.
    slow = LeaseTimes(duration=600, renew_deadline=500, retry_period=5)
    first, second = candidate(client, namespace, "a", slow), candidate(client, namespace, "b")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await asyncio.wait({waiting}, timeout=0.5)
    assert not waiting.done()
    await first.release()
    await asyncio.wait_for(waiting, 120)
    assert second.leading


async def test_racing_candidates_make_one_leader(client: KubeClient, namespace: str) -> None:
    """Five at the same moment on a fresh lease."""
    candidates = [candidate(client, namespace, str(number)) for number in range(5)]
    tasks = [asyncio.create_task(one.acquire()) for one in candidates]
    await asyncio.wait(tasks, timeout=120, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait(tasks, timeout=1.5)
    assert sum(one.leading for one in candidates) == 1
    for task in tasks:
        task.cancel()


async def test_a_restart_of_the_api_server_is_survived(
    client: KubeClient, namespace: str, control_plane: ControlPlane
) -> None:
    """An outage shorter than the renew deadline changes nothing."""
    leader = candidate(client, namespace, "a")
    await leader.acquire()
    hold = asyncio.create_task(leader.hold())
    await asyncio.to_thread(control_plane.stop_apiserver)
    await asyncio.to_thread(control_plane.start_apiserver)
    await renewed(client, namespace)
    assert leader.leading
    assert not hold.done()
    hold.cancel()
