"""`tests.images.apt`: which repository base images come from."""

import pytest

from tests.cluster.errors import ClusterError
from tests.images.apt import AptSource, choose, codename

_DEBIAN = """\
http://mirror.example/debian-security/|bookworm-security|main|Packages
http://mirror.example/debian/|bookworm|main|DEP-11
http://mirror.example/debian/|bookworm|main|Packages
http://mirror.example/debian/|bookworm-updates|main|Packages
"""
_UBUNTU = """\
http://vendor.example/apt/|noble|stable|Packages
http://mirror.example/ubuntu/|noble|universe|Packages
http://mirror.example/ubuntu/|noble|main|Packages
http://mirror.example/ubuntu/|noble|main|Translations
"""


def test_the_release_itself_is_chosen() -> None:
    """Not its updates, which hold no whole system, and not another index of the same release."""
    assert choose(_DEBIAN, "bookworm") == AptSource(
        "http://mirror.example/debian", "bookworm", ("main",)
    )


def test_all_components_and_the_archive_before_a_vendor() -> None:
    """Ubuntu keeps python3-venv in universe; a vendor's repository of that suite is no archive."""
    found = choose(_UBUNTU, "noble", proxy="http://proxy.example:3128")
    assert found.address == "http://mirror.example/ubuntu"
    assert found.components == ("main", "universe")
    assert found.proxy == "http://proxy.example:3128"


def test_a_machine_without_its_release_says_what_to_do() -> None:
    """The message names the release and the configuration."""
    with pytest.raises(ClusterError, match=r"no packages of trixie.*sources\.list"):
        choose(_DEBIAN, "trixie")


def test_another_distribution_is_named() -> None:
    """A system without a Debian-like release is told so."""
    with pytest.raises(ClusterError, match="Alpine Linux"):
        codename({"PRETTY_NAME": "Alpine Linux"})
