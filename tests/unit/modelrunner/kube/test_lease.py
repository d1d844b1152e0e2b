"""Leader election in virtual time: one leads, outages are survived, hand-over is quick and safe."""

import asyncio
from typing import Any

import pytest

from modelrunner.kube.errors import Unavailable
from modelrunner.kube.lease import LeaderElector, LeaseLost, LeaseTimes
from modelrunner.kube.resources import LEASES
from tests.support.virtual_time import run
from tests.unit.modelrunner.kube.fake_client import FakeClient

OUTAGE = Unavailable(0, "Unreachable", "no answer")


def candidate(client: FakeClient, identity: str) -> LeaderElector:
    """A candidate without jitter."""
    return LeaderElector(client, "ns", "op", identity, jitter=lambda: 0.5)


def lease(client: FakeClient) -> dict[str, Any]:
    """The stored lease's spec."""
    spec: dict[str, Any] = client.objects[LEASES, "ns", "op"]["spec"]
    return spec


def now() -> float:
    """Virtual seconds."""
    return asyncio.get_running_loop().time()


def test_the_first_candidate_leads_at_once_and_renews() -> None:
    """A fresh cluster has a leader without a wait, and keeps it."""

    async def scenario() -> None:
        client = FakeClient()
        leader = candidate(client, "a")
        start = now()
        await leader.acquire()
        assert now() == start
        assert lease(client)["holderIdentity"] == "a"
        assert lease(client)["leaseTransitions"] == 0
        hold = asyncio.create_task(leader.hold())
        await asyncio.sleep(100)
        assert leader.leading
        assert not hold.done()
        assert 48 <= len([one for one in client.requests if one[0] == "update"]) <= 50
        hold.cancel()

    run(scenario())


def test_a_second_candidate_waits_while_the_first_renews() -> None:
    """Never two leaders."""

    async def scenario() -> None:
        client = FakeClient()
        first, second = candidate(client, "a"), candidate(client, "b")
        await first.acquire()
        hold = asyncio.create_task(first.hold())
        waiting = asyncio.create_task(second.acquire())
        await asyncio.sleep(300)
        assert not waiting.done()
        assert not second.leading
        for task in (hold, waiting):
            task.cancel()

    run(scenario())


def test_a_dead_leader_is_replaced_after_the_lease_duration() -> None:
    """Between 15 s and a poll more after its last renewal; the transition is counted."""

    async def scenario() -> None:
        client = FakeClient()
        first, second = candidate(client, "a"), candidate(client, "b")
        await first.acquire()
        died = now()
        await second.acquire()
        assert 15.0 <= now() - died <= 15 + 2.4
        assert lease(client)["leaseTransitions"] == 1
        assert lease(client)["holderIdentity"] == "b"

    run(scenario())


def test_the_age_of_a_lease_is_measured_by_the_candidates_own_clock() -> None:
    """A renewTime from a node whose clock is hours off does not shorten anybody's lease."""

    async def scenario() -> None:
        client = FakeClient()
        await candidate(client, "a").acquire()
        lease(client)["renewTime"] = "2001-01-01T00:00:00.000000Z"
        start = now()
        await candidate(client, "b").acquire()
        assert now() - start >= 15

    run(scenario())


def test_release_hands_over_at_the_next_poll() -> None:
    """A rolling update costs a poll, not a lease duration."""

    async def scenario() -> None:
        client = FakeClient()
        first, second = candidate(client, "a"), candidate(client, "b")
        await first.acquire()
        waiting = asyncio.create_task(second.acquire())
        await asyncio.sleep(5)
        await first.release()
        released = now()
        assert lease(client)["holderIdentity"] == ""
        assert not first.leading
        await waiting
        assert now() - released <= 2.4

    run(scenario())


def test_an_outage_shorter_than_the_renew_deadline_is_survived() -> None:
    """A restart of the API server does not restart the operator."""

    async def scenario() -> None:
        client = FakeClient()
        leader = candidate(client, "a")
        await leader.acquire()
        hold = asyncio.create_task(leader.hold())
        await asyncio.sleep(11)
        client.failing = OUTAGE
        await asyncio.sleep(8)
        client.failing = None
        await asyncio.sleep(60)
        assert leader.leading
        hold.cancel()

    run(scenario())


def test_a_longer_outage_ends_leadership_before_anybody_else_can_lead() -> None:
    """The leader gives up within 10 s and a poll of its last renewal, less than 15 s."""

    async def scenario() -> None:
        client = FakeClient()
        leader = candidate(client, "a")
        await leader.acquire()
        renewed = now()
        client.failing = OUTAGE
        with pytest.raises(LeaseLost, match="could not be renewed"):
            await leader.hold()
        assert 10 <= now() - renewed <= 12
        assert not leader.leading

    run(scenario())


def test_requests_that_hang_count_as_an_outage() -> None:
    """A leader that cannot know whether it leads stops in time."""

    class Hanging(FakeClient):
        hang = False

        async def update(self, *args: Any, **named: Any) -> dict[str, Any]:
            if self.hang:
                await asyncio.sleep(10_000)
            return await super().update(*args, **named)

    async def scenario() -> None:
        client = Hanging()
        leader = candidate(client, "a")
        await leader.acquire()
        renewed = now()
        client.hang = True
        with pytest.raises(LeaseLost):
            await leader.hold()
        assert now() - renewed < 15

    run(scenario())


def test_a_leader_that_finds_another_holder_stops_at_once() -> None:
    """Somebody edited the lease, or the clock stood still: no fight."""

    async def scenario() -> None:
        client = FakeClient()
        leader = candidate(client, "a")
        await leader.acquire()
        stored = client.objects[LEASES, "ns", "op"]
        stored["spec"]["holderIdentity"] = "b"
        stored["metadata"]["resourceVersion"] = "99"
        start = now()
        with pytest.raises(LeaseLost, match="another process"):
            await leader.hold()
        assert now() - start <= 4

    run(scenario())


def test_a_deleted_lease_is_made_again_by_its_leader() -> None:
    """`kubectl delete lease` is not the end of the operator."""

    async def scenario() -> None:
        client = FakeClient()
        leader = candidate(client, "a")
        await leader.acquire()
        client.objects.clear()
        hold = asyncio.create_task(leader.hold())
        await asyncio.sleep(7)
        assert lease(client)["holderIdentity"] == "a"
        assert leader.leading
        hold.cancel()

    run(scenario())


def test_a_candidate_survives_an_outage_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    """A standby waits for the API server without filling the logs."""

    async def scenario() -> None:
        client = FakeClient()
        client.failing = OUTAGE
        waiting = asyncio.create_task(candidate(client, "a").acquire())
        await asyncio.sleep(100)
        client.failing = None
        await waiting

    run(scenario())
    assert len([one for one in caplog.records if "no answer" in one.getMessage()]) == 1


def test_a_release_that_fails_is_no_error() -> None:
    """The process ends anyway; the lease expires by itself."""

    async def scenario() -> None:
        client = FakeClient()
        leader = candidate(client, "a")
        await leader.release()
        await leader.acquire()
        client.failing = OUTAGE
        await leader.release()
        assert not leader.leading

    run(scenario())


def test_times_in_the_wrong_order_are_refused() -> None:
    """A renew deadline beyond the lease's duration would allow two leaders."""
    with pytest.raises(ValueError, match="duration"):
        LeaseTimes(duration=10, renew_deadline=10, retry_period=2)
