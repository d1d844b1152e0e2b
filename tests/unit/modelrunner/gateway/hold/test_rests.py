"""How long an endpoint that failed is left alone."""

from modelrunner.gateway.hold.rests import Rests
from modelrunner.gateway.messages import Endpoint


def test_rests_double_up_to_ten_seconds() -> None:
    """Each failure after a rest makes the next one longer; an answer makes the first one short."""
    rests, endpoint, now = Rests(), Endpoint("a", ("10.0.0.1", 8080)), 100.0
    lengths = []
    for _ in range(6):
        rests.failed(endpoint, now)
        lengths.append(endpoint.rests_until - now)
        now = endpoint.rests_until
    assert lengths == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    rests.answered(endpoint)
    assert endpoint.rests_until == 0.0
    assert not rests.failing
    rests.failed(endpoint, now)
    assert endpoint.rests_until - now == 1.0


def test_everything_that_fails_together_is_one_failure() -> None:
    """A hundred requests were in flight at the pod that ended."""
    rests, endpoint = Rests(), Endpoint("a", ("10.0.0.1", 8080))
    for _ in range(100):
        rests.failed(endpoint, 100.0)
    assert endpoint.rests_until == 101.0
    assert rests.lifted(endpoint)


def test_its_own_word_ends_a_rest_three_times() -> None:
    """Then it has been wrong too often: the rest is sat out."""
    rests, endpoint = Rests(), Endpoint("a", ("10.0.0.1", 8080))
    lifted = []
    for _ in range(5):
        rests.failed(endpoint, 100.0)
        lifted.append(rests.lifted(endpoint))
    assert lifted == [True, True, True, False, False]
    assert endpoint.rests_until > 100.0


def test_an_endpoint_that_is_gone_is_forgotten() -> None:
    """Pods come and go for months."""
    rests = Rests()
    for number in range(10):
        endpoint = Endpoint(str(number), ("10.0.0.1", 8080))
        rests.failed(endpoint, 100.0)
        endpoint.retired = True
    rests.failed(Endpoint("last", ("10.0.0.1", 8080), retired=True), 100.0)
    assert not rests.failing


def test_an_answer_without_a_failure_changes_nothing() -> None:
    """The warm path asks nothing of it."""
    rests = Rests()
    endpoint, other = Endpoint("a", ("10.0.0.1", 8080)), Endpoint("b", ("10.0.0.2", 8080))
    rests.failed(other, 100.0)
    endpoint.rests_until = 7.0
    rests.answered(endpoint)
    assert endpoint.rests_until == 7.0
