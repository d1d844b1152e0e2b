"""Programs from the distribution."""

import pytest

from tests.cluster import packages
from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress


def test_what_is_missing_is_named_as_a_package() -> None:
    """The program is nft, its package nftables."""
    absent = packages.missing(has_program=lambda name: name != "nft", has_cni=lambda: None)
    assert absent == ["nftables", "containernetworking-plugins"]


def test_nothing_is_missing() -> None:
    """A complete machine is left alone."""
    assert packages.missing(has_program=lambda name: True, has_cni=lambda: "folder") == []


def test_without_apt_the_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Package names differ between distributions, so the programs are named too."""
    monkeypatch.setattr(packages, "missing", lambda: ["conntrack", "containernetworking-plugins"])
    monkeypatch.setattr(packages, "found", lambda name: False)
    with pytest.raises(ClusterError, match=r"conntrack \(the program conntrack\).*plugins bridge"):
        packages.ensure(Progress())
