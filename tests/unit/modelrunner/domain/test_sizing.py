"""How large a claim has to be."""

from hypothesis import given
from hypothesis import strategies as st

from modelrunner.domain.quantities import parse_quantity
from modelrunner.domain.sizing import check_size, claim_request, needed_bytes, request_of


@given(st.integers(min_value=0, max_value=10**15))
def test_a_claim_holds_its_artifact(size: int) -> None:
    """A tenth and 64 MiB more, in whole MiB, and what is asked for is what is needed."""
    needed = needed_bytes(size)
    assert needed >= size * 1.1 + 64 * 2**20 - 1
    assert needed % 2**20 == 0
    assert parse_quantity(claim_request(size, None)) == needed


def test_an_explicit_size_is_taken_as_written() -> None:
    """The user's own size, unit and all."""
    assert claim_request(10**9, "20Gi") == "20Gi"


def test_too_small_says_both_numbers_and_the_mend() -> None:
    """The message holds the size, the need, and a size that would do."""
    problem = check_size(10**9, "500Mi", where="spec.cache.size", mend="set it to {size}")
    assert problem is not None
    assert problem.reason == "CacheTooSmall"
    assert "500Mi" in problem.message
    assert "953.7 MiB" in problem.message
    assert "set it to 1114Mi" in problem.message
    assert check_size(10**9, "1G", where="", mend="") is None


def test_claims_never_shrink_and_grow_when_they_must_or_are_told_to() -> None:
    """A claim that is large enough keeps its size, but for a `cache.size` that has been raised."""
    assert request_of(10**9, None, "") == "1114Mi"
    assert request_of(10**9, "2Gi", "") == "2Gi"
    assert request_of(10**9, None, "1Gi") == "1Gi"
    assert request_of(10**10, None, "2Gi") == "10555Mi"
    assert request_of(10**9, "50Gi", "2Gi") == "50Gi"
    assert request_of(10**9, "1Gi", "2Gi") == "2Gi"
    assert request_of(10**9, None, "100Gi") == "100Gi"


def test_a_pull_that_found_too_little_room_is_heard() -> None:
    """What it needs counts beside the size of the artifact; a claim that has it stays."""
    assert request_of(10**9, None, "1114Mi", at_least=2 * 2**30) == "2048Mi"
    assert request_of(10**9, None, "4Gi", at_least=2 * 2**30) == "4Gi"
    assert request_of(10**9, None, "", at_least=1) == "1114Mi"


@given(st.integers(1, 10**13), st.integers(1, 10**7), st.one_of(st.none(), st.integers(1, 10**7)))
def test_what_is_asked_for_once_is_asked_for_again(
    artifact: int, granted: int, explicit: int | None
) -> None:
    """Asked again with what it has led to, the answer is the same, and never less than before."""
    size = None if explicit is None else f"{explicit}Mi"
    first = request_of(artifact, size, f"{granted}Mi")
    assert request_of(artifact, size, first) == first
    assert parse_quantity(first) >= parse_quantity(f"{granted}Mi")
