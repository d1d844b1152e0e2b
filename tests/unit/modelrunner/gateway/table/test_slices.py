"""EndpointSlices: which are ours, and what they say of each pod."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given

from modelrunner.domain.naming import MANAGED_BY_LABEL, MODEL_LABEL
from modelrunner.gateway.table.slices import Slice, State, merged, read_slice
from tests.support.table_objects import JSON, SERVICE_LABEL, endpoint, endpoint_slice


def states(item: dict[str, Any]) -> dict[str, State]:
    """State by address."""
    found = read_slice(item)
    assert found is not None
    return {member.host: member.state for member in found.members}


def read(item: dict[str, Any]) -> Slice:
    """A slice of ours."""
    found = read_slice(item)
    assert found is not None
    return found


def test_conditions_say_what_may_be_sent() -> None:
    """Ready, unset (which means ready) and not ready are told apart; terminating is left out."""
    item = endpoint_slice(
        "ml/m",
        endpoint("198.18.0.1"),
        endpoint("198.18.0.2", ready=None),
        endpoint("198.18.0.3", ready=False),
        endpoint("198.18.0.4", terminating=True),
        endpoint("198.18.0.5", ready=None, terminating=True),
        {"addresses": ["198.18.0.6"]},
    )
    assert states(item) == {
        "198.18.0.1": State.READY,
        "198.18.0.2": State.READY,
        "198.18.0.3": State.STARTING,
        "198.18.0.6": State.READY,
    }


@pytest.mark.parametrize(
    "labels",
    [
        {MANAGED_BY_LABEL: "somebody-else"},
        {MODEL_LABEL: "another"},
        {MODEL_LABEL: ""},
        {SERVICE_LABEL: "another"},
    ],
)
def test_a_slice_whose_labels_are_not_ours_is_nobodys(labels: dict[str, str]) -> None:
    """A Service that somebody else made for our pods routes nothing."""
    assert read_slice(endpoint_slice("ml/m", endpoint("198.18.0.1"), labels=labels)) is None


def test_addresses_are_never_names() -> None:
    """What would have to be resolved, or is of the other family, is left out."""
    odd = ["example.com", "", "198.18.0.300", "fd00::1", "198.18.0.1 ", 7]
    item = endpoint_slice("ml/m", *[endpoint(address) for address in odd])  # type: ignore[arg-type]  # the point
    assert states(item) == {}
    assert read_slice(endpoint_slice("ml/m", endpoint("a.example.com"), family="FQDN")) is None


def test_both_families_are_read() -> None:
    """An IPv6 address is a host as it is, without brackets."""
    item = endpoint_slice("ml/m", endpoint("fd00::7"), family="IPv6")
    assert states(item) == {"fd00::7": State.READY}


@pytest.mark.parametrize("port", [0, 65536, "8080", None, True, 8080.0])
def test_a_port_that_is_none_makes_the_slice_useless(port: Any) -> None:
    """There is nothing to connect to."""
    assert read_slice(endpoint_slice("ml/m", endpoint("198.18.0.1"), port=port)) is None


def test_the_port_is_found_by_its_name() -> None:
    """A user's sidecar may have a port, too."""
    item = endpoint_slice("ml/m", endpoint("198.18.0.1"), port=8081)
    item["ports"].insert(0, {"name": "metrics", "port": 9090, "protocol": "TCP"})
    assert read(item).members[0].port == 8081
    item["ports"] = [{"name": "http", "port": 1, "protocol": "UDP"}]
    assert read_slice(item) is None


def test_a_pod_in_two_slices_counts_once() -> None:
    """While it moves from one to the other; the better word counts, in whatever order."""
    first = read(endpoint_slice("ml/m", endpoint("198.18.0.1", ready=False, pod="p"), name="a"))
    second = read(endpoint_slice("ml/m", endpoint("198.18.0.1", pod="p"), name="b"))
    for order in permutations([first, second]):
        (member,) = merged(order)
        assert member.state is State.READY


def test_a_pod_with_two_families_is_one_runner() -> None:
    """Else it would get twice its share."""
    four = read(endpoint_slice("ml/m", endpoint("198.18.0.1", pod="p"), name="a"))
    six = read(endpoint_slice("ml/m", endpoint("fd00::1", pod="p"), name="b", family="IPv6"))
    for order in permutations([four, six]):
        (member,) = merged(order)
        assert member.host == "198.18.0.1"
    assert [member.host for member in merged([six])] == ["fd00::1"]


def test_addresses_without_pods_are_told_apart_by_themselves() -> None:
    """A slice need not name its pods."""
    item = read(endpoint_slice("ml/m", endpoint("198.18.0.1"), endpoint("198.18.0.2")))
    assert [member.host for member in merged([item])] == ["198.18.0.1", "198.18.0.2"]


@given(JSON, JSON, JSON, JSON)
def test_any_json_is_read(endpoints: Any, ports: Any, conditions: Any, metadata: Any) -> None:
    """A wrong type anywhere leaves something out and raises nothing."""
    item = endpoint_slice("ml/m")
    for shape in (endpoints, [{"addresses": endpoints, "conditions": conditions}]):
        item["endpoints"] = shape
        read_slice(item)
    item["ports"] = ports
    read_slice(item)
    read_slice({**item, "metadata": metadata})
