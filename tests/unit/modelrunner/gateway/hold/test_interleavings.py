"""Any interleaving of what clients, runners and the API server do, in virtual time.

Holds whatever happens: first come first served, no bound exceeded, every count back to zero,
everybody gets exactly one decision.
"""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from modelrunner.gateway.hold.runners import Readiness
from modelrunner.gateway.hold.scaling import Attempt, Tried
from modelrunner.gateway.hold.waiting import Waiting
from modelrunner.gateway.messages import Answer, Decision, Failure, Forward, Outcome
from tests.support import virtual_time
from tests.support.gateway_world import LOADING, World

HOSTS = ("10.0.0.1", "10.0.0.2")
PATH = "ml/smol"
MAX_HELD = 8
TIMEOUT = 20.0
SLOTS = 1
WORDS = {"ready": Readiness(ready=True, slots=SLOTS), "loading": LOADING, "gone": None}
BODY = "x" * 100
LIMIT = 10 * (2048 + 200)

_HOST = st.sampled_from(HOSTS)
_NUMBER = st.integers(0, 11)
ACTIONS = st.one_of(
    st.tuples(st.just("arrive"), st.integers(1, 6)),
    st.tuples(st.just("leave"), _NUMBER),
    st.tuples(st.just("end"), _NUMBER),
    st.tuples(st.just("fail"), _NUMBER, st.sampled_from(list(Failure))),
    st.tuples(st.just("pods"), st.sets(_HOST), st.sets(_HOST)),
    st.tuples(st.just("say"), _HOST, st.sampled_from(list(WORDS))),
    st.tuples(st.just("api"), st.sampled_from(list(Attempt))),
    st.tuples(st.just("model"), st.sampled_from(("sleeping", "pulling", "hopeless"))),
    st.just(("delete",)),
    st.tuples(st.just("time"), st.sampled_from((0.05, 1.0, 8.0))),
)


class Play:
    """A run: one method for each action, and all requests with what became of them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.model("sleeping")
        self.entry = world.entry(PATH)
        self.waiting: list[Waiting] = []
        self.sent: list[Forward] = []
        self.arrived = 0
        self.returned = 0

    def arrive(self, clients: int) -> None:
        """Some clients ask."""
        for _ in range(clients):
            self.arrived += 1
            self._take(self.world.chat(PATH, user=BODY))

    def leave(self, number: int) -> None:
        """One of those who wait goes."""
        if self.waiting:
            self.waiting.pop(number % len(self.waiting)).leave()

    def end(self, number: int) -> None:
        """One of those that were sent is answered."""
        if self.sent:
            ticket = self.sent.pop(number % len(self.sent)).ticket
            ticket.first_byte(200)
            ticket.done(Outcome.COMPLETE, b"")

    def fail(self, number: int, failure: Failure) -> None:
        """One of those that were sent gets no answer."""
        if self.sent:
            ticket = self.sent.pop(number % len(self.sent)).ticket
            self._take(ticket.failed(failure), again=True)

    def pods(self, ready: set[str], starting: set[str]) -> None:
        """The API server tells these pods."""
        self.world.pods(PATH, ready=sorted(ready), starting=sorted(starting - ready))

    def say(self, host: str, word: str) -> None:
        """A runner is ready, is not, or is gone."""
        self.world.runners.say(host, WORDS[word])

    def api(self, attempt: Attempt) -> None:
        """This is how scaling ends from now on."""
        self.world.scaler.default = Tried(attempt, str(attempt.value))

    def model(self, word: str) -> None:
        """The operator writes the Model's status, unless the Model is gone."""
        more: dict[str, Any] = {"max_held": MAX_HELD, "timeout": TIMEOUT}
        if word == "pulling":
            self.world.put(PATH, "Pulling", **more)
        elif word == "hopeless":
            self.world.failing(PATH, "EngineFailed", "it failed", **more)
        else:
            self.world.sleeping(PATH, **more)

    def delete(self) -> None:
        """The Model goes; its name is free for a new one."""
        self.world.delete(PATH)

    def look(self) -> None:
        """Follow what was decided since, and check that the right ones went."""
        decided = [one for one in self.waiting if one.decided.done()]
        self.waiting = [one for one in self.waiting if not one.decided.done()]
        gone = [one for one in decided if isinstance(one.decided.result(), Forward)]
        if gone and self.waiting:
            assert max(one.order for one in gone) < min(one.order for one in self.waiting)
        for one in decided:
            decision = one.decided.result()
            if isinstance(decision, Forward):
                assert decision.endpoint.in_flight <= SLOTS + 2
            self._take(decision, again=True)
        assert self.world.holds.held == len(self.waiting) <= MAX_HELD + self.returned
        assert self.world.holds.held_bytes >= len(self.waiting) * len(BODY)

    def _take(self, decision: Decision, *, again: bool = False) -> None:
        if isinstance(decision, Waiting):
            self.waiting.append(decision)
            self.returned += again
        elif isinstance(decision, Forward):
            self.sent.append(decision)
        else:
            assert isinstance(decision, Answer)
            assert decision.status in {404, 429, 502, 503, 504}


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTIONS, min_size=12, max_size=40))
def test_nobody_is_lost_forgotten_or_overtaken(actions: list[tuple[Any, ...]]) -> None:
    """The properties of the module's first lines."""
    virtual_time.run(_play(actions))


async def _play(actions: list[tuple[Any, ...]]) -> None:
    async with World(max_bytes=LIMIT) as world:
        play = Play(world)
        for name, *arguments in actions:
            if name == "time":
                await asyncio.sleep(*arguments)
            else:
                getattr(play, name)(*arguments)
            await world.settled()
            play.look()
        await _end(play)
        assert len(world.ended) == play.arrived
        for entry in {play.entry, *world.table.models()}:
            assert entry.in_flight == 0
            assert all(one.in_flight == 0 for one in (*entry.ready, *entry.starting))
        assert world.holds.held == world.holds.held_bytes == world.runners.asking == 0
        assert all(
            meter.held == 0 for meter in (world.meters.nobody, *world.meters.models.values())
        )


async def _end(play: Play) -> None:
    """All that is on its way ends; whoever waits is answered in the time they were promised."""
    until = play.world.loop.time() + TIMEOUT + 1
    while play.world.loop.time() < until:
        while play.sent:
            play.end(0)
        await asyncio.sleep(1)
        play.look()
    assert not play.waiting
    assert not play.sent
