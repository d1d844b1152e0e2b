"""Bytes of an artifact, told as progress of its layers."""

from hypothesis import given
from hypothesis import strategies as st

from modelrunner_protocol.wire import WeightsFile
from runnerd.standalone.catalogue.layers import Layers

FILES = [
    WeightsFile(path=f"f{i}", size_bytes=size, sha256=str(i)) for i, size in enumerate((10, 0, 5))
]


def _told(layers: Layers, completed: int) -> list[tuple[str, int, int]]:
    return [(line.layer, line.current, line.total) for line in layers.since(completed)]


def test_layers_end_one_after_the_other() -> None:
    """Each end is told once, and then the next layer's beginning; nothing twice."""
    layers = Layers(FILES)
    assert _told(layers, 0) == [("sha256:0", 0, 15)]
    assert _told(layers, 0) == []
    assert _told(layers, 4) == [("sha256:0", 4, 15)]
    assert _told(layers, 12) == [("sha256:0", 10, 15), ("sha256:1", 0, 15), ("sha256:2", 2, 15)]
    assert _told(layers, 15) == [("sha256:2", 5, 15)]
    assert _told(layers, 15) == []


def test_layer_that_starts_over() -> None:
    """A server that serves no ranges sends a layer to its start; others stay whole."""
    layers = Layers(FILES)
    layers.since(13)
    assert _told(layers, 10) == [("sha256:2", 0, 15)]
    assert _told(layers, 4) == []


@given(st.lists(st.integers(0, 100), max_size=6), st.lists(st.integers(0, 600), max_size=20))
def test_all_layers_are_told_to_their_end(sizes: list[int], steps: list[int]) -> None:
    """Whatever is seen in between: in the end each layer was told whole, exactly once."""
    files = [WeightsFile(path=f"f{i}", size_bytes=s, sha256=str(i)) for i, s in enumerate(sizes)]
    layers = Layers(files)
    lines = [line for step in [*sorted(steps), sum(sizes)] for line in layers.since(step)]
    whole = [line.layer for line in lines if line.current == line.size]
    assert whole == [f"sha256:{i}" for i in range(len(sizes))]
    assert all(line.total == sum(sizes) for line in lines)
    assert len({(line.layer, line.current) for line in lines}) == len(lines)
