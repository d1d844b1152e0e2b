"""Which bytes of a file are there."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from runnerd.weights.ranges import Ranges

_SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12)


@given(_SPANS)
def test_a_set_of_positions(spans: list[tuple[int, int]]) -> None:
    """Total, reach and the intervals are those of the plain set, in order and apart."""
    plain = {position for start, stop in spans for position in range(start, stop)}
    found = Ranges(spans)
    assert found.total == len(plain)
    assert {position for start, stop in found for position in range(start, stop)} == plain
    listed = list(found)
    assert all(one[1] < other[0] for one, other in pairwise(listed))
    for start in range(62):
        reach = found.reach(start)
        assert reach not in plain
        assert all(position in plain for position in range(start, reach))


@given(_SPANS, st.integers(1, 70), st.integers(1, 9))
def test_gaps_are_filled_one_after_the_other(
    spans: list[tuple[int, int]], end: int, longest: int
) -> None:
    """Each gap is missing altogether, short enough, and nothing is missing after the last."""
    found = Ranges(spans)
    while gap := found.gap(0, end, longest):
        start, stop = gap
        assert 0 < stop - start <= longest
        assert all(found.reach(position) == position for position in range(start, stop))
        found.add(start, stop)
    assert found.reach(0) >= end
