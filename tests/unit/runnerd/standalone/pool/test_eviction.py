"""Who makes room for another engine."""

from hypothesis import given
from hypothesis import strategies as st

from runnerd.standalone.pool.eviction import Place, Plan, Room, plan

GIB = 1 << 30


def _place(key: str, size: int = 1, last_used: float = 0.0, **more: bool) -> Place[str]:
    return Place(key=key, size=size * GIB, last_used=last_used, **more)


def _going(*idle: str, busy: tuple[str, ...] = ()) -> Plan[str]:
    return Plan(ready=False, unload=idle, reserve=busy)


def test_there_is_room() -> None:
    """Nothing goes while there is room."""
    assert plan([_place("a")], GIB, Room(2, None)) == Plan(ready=True)
    assert plan([_place("a")], GIB, Room(2, 2 * GIB)) == Plan(ready=True)


def test_the_order() -> None:
    """Idle before busy, for some time before for ever, longest not used before others."""
    places = [
        _place("new", last_used=9),
        _place("old", last_used=1),
        _place("forever", last_used=0, forever=True),
        _place("busy", last_used=0, in_use=True),
    ]
    assert plan(places, GIB, Room(4, None)) == _going(
        "old",
    )
    assert plan(places, GIB, Room(3, None)) == _going("old", "new")
    assert plan(places, GIB, Room(2, None)) == _going("old", "new", "forever")
    assert plan(places, GIB, Room(1, None)) == _going("old", "new", "forever", busy=("busy",))


def test_no_more_than_needed() -> None:
    """A small one that was not used for long stays when a large one has to go anyway."""
    places = [_place("small", 1, 1), _place("large", 6, 2)]
    assert plan(places, 5 * GIB, Room(9, 8 * GIB)) == _going(
        "large",
    )


def test_what_is_going_is_waited_for() -> None:
    """Nobody else goes when what is going already makes enough room."""
    places = [_place("going", 4, leaving=True), _place("idle", 4)]
    assert plan(places, 4 * GIB, Room(9, 8 * GIB)) == _going()
    assert plan(places, 5 * GIB, Room(9, 8 * GIB)) == _going(
        "idle",
    )


PLACES = st.lists(
    st.builds(
        Place,
        key=st.integers(),
        size=st.integers(0, 10),
        last_used=st.floats(0, 10),
        in_use=st.booleans(),
        forever=st.booleans(),
        leaving=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda place: place.key,
)


@given(PLACES, st.integers(0, 20), st.integers(1, 8), st.one_of(st.none(), st.integers(0, 20)))
def test_any_plan(places: list[Place[int]], extra: int, slots: int, budget: int | None) -> None:
    """After it there is room; without any one of those who go there is not; the ready go nowhere."""
    room = Room(slots, budget)
    wanted = extra if budget is None else min(extra, budget)
    found = plan(places, wanted, room)
    going = {*found.unload, *found.reserve}
    by_key = {place.key: place for place in places}
    assert not any(by_key[key].leaving for key in going)
    assert not any(by_key[key].in_use for key in found.unload)
    assert all(by_key[key].in_use for key in found.reserve)
    assert found.ready == room.fits([place.size for place in places], wanted)
    assert not (found.ready and going)
    if found.ready:
        return
    left = [place for place in places if not place.leaving and place.key not in going]
    assert room.fits([place.size for place in left], wanted)
    for key in going:
        assert not room.fits([place.size for place in (*left, by_key[key])], wanted)
