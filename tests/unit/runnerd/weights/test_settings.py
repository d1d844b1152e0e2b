"""Settings from the environment."""

import pytest

from runnerd.weights.settings import Settings


def test_defaults() -> None:
    """Without variables, resolving takes two minutes at most and a stall a minute."""
    assert Settings.from_environment({}) == Settings(
        resolve_timeout=15, stall_timeout=60, give_up_after=600
    )


def test_values() -> None:
    """Each variable is a Go duration."""
    environment = {
        "RUNNERD_RESOLVE_TIMEOUT": "1m30s",
        "RUNNERD_PULL_STALL_TIMEOUT": "250ms",
        "RUNNERD_PULL_GIVE_UP_AFTER": "1h",
    }
    assert Settings.from_environment(environment) == Settings(
        resolve_timeout=90, stall_timeout=0.25, give_up_after=3600
    )


@pytest.mark.parametrize("text", ["soon", "0", "-1m", "60"])
def test_nonsense_names_the_variable(text: str) -> None:
    """A value that is no positive duration is an error that names its variable."""
    with pytest.raises(ValueError, match="RUNNERD_PULL_STALL_TIMEOUT"):
        Settings.from_environment({"RUNNERD_PULL_STALL_TIMEOUT": text})


@pytest.mark.parametrize(
    ("text", "rate"),
    [("", 0), ("5000000", 5e6), ("100Mi", 100 * 2**20), ("1.5G", 1.5e9), ("1Ki", 1024)],
)
def test_bandwidth(text: str, rate: float) -> None:
    """Bytes a second, with the units that Kubernetes has."""
    assert Settings.from_environment({"RUNNERD_PULL_BANDWIDTH": text}).bandwidth == rate


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("RUNNERD_PULL_BANDWIDTH", "fast"),
        ("RUNNERD_PULL_BANDWIDTH", "0"),
        ("RUNNERD_PULL_BANDWIDTH", "10MB"),
        ("RUNNERD_PULL_CONNECTIONS", "0"),
        ("RUNNERD_PULL_CONNECTIONS", "33"),
        ("RUNNERD_PULL_CONNECTIONS", "many"),
        ("RUNNERD_PULL_TIMEOUT", "0"),
    ],
)
def test_nonsense_bounds_are_named(variable: str, text: str) -> None:
    """A value that means nothing is an error that names its variable."""
    with pytest.raises(ValueError, match=variable):
        Settings.from_environment({variable: text})


def test_mirrors() -> None:
    """Mirrors by registry, in the order in which they were named."""
    text = "docker.io=https://m.example.com/, ghcr.io=http://10.0.0.1:5000/x docker.io=https://n"
    assert Settings.from_environment({"RUNNERD_REGISTRY_MIRRORS": text}).mirrors == {
        "docker.io": ("https://m.example.com", "https://n"),
        "ghcr.io": ("http://10.0.0.1:5000/x",),
    }


@pytest.mark.parametrize(
    "text", ["https://m", "docker.io", "docker.io=m", "=https://m", "a=https://", "a=https://u@h"]
)
def test_nonsense_mirrors_are_named(text: str) -> None:
    """What is no registry and URL is an error, and so is a login in a URL."""
    with pytest.raises(ValueError, match="RUNNERD_REGISTRY_MIRRORS"):
        Settings.from_environment({"RUNNERD_REGISTRY_MIRRORS": text})
