"""One embedded cluster per machine."""

from pathlib import Path

import pytest

from tests.cluster import ownership
from tests.cluster.errors import ClusterError


@pytest.fixture(autouse=True)
def no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that happens to be up on this machine is none of these tests' business."""
    monkeypatch.setattr(ownership, "LINK", "no-such-link")


def test_a_second_cluster_is_told_whose_the_first_is(tmp_path: Path) -> None:
    """The message holds the command that takes the other one down."""
    record = tmp_path / "run/owner"
    ownership.claim(tmp_path / "one", record)
    with pytest.raises(
        ClusterError, match=r"MODEL_RUNNER_RUN=\S+/one python -m tests.cluster down"
    ):
        ownership.claim(tmp_path / "two", record)
    assert ownership.ours(tmp_path / "one", record)
    assert not ownership.ours(tmp_path / "two", record)


def test_claiming_again_is_fine(tmp_path: Path) -> None:
    """`up` after a crash finds its own claim."""
    record = tmp_path / "run/owner"
    for _ in range(2):
        ownership.claim(tmp_path / "one", record)
    assert [entry.name for entry in record.parent.iterdir()] == ["owner"]


def test_only_the_owner_gives_free(tmp_path: Path) -> None:
    """`down` of one folder does not free the machine of another."""
    record = tmp_path / "run/owner"
    ownership.claim(tmp_path / "one", record)
    ownership.release(tmp_path / "two", record)
    assert record.exists()
    ownership.release(tmp_path / "one", record)
    ownership.release(tmp_path / "one", record)
    assert not record.parent.exists()
