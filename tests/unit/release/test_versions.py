"""One version in all the places that tell it."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from modelrunner.config import OperatorSettings
from release.copies import CHART, ROOT


@pytest.fixture
def version() -> str:
    """The chart's appVersion, which names the images that it installs."""
    return str(yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["appVersion"])


@pytest.mark.parametrize("project", ["protocol", "operator", "runner-image"])
def test_the_distributions_have_it(project: str, version: str) -> None:
    """A release is one version of all three."""
    text = (ROOT / project / "pyproject.toml").read_text("utf-8")
    assert tomllib.loads(text)["project"]["version"] == version


@pytest.mark.parametrize("project", ["operator", "runner-image"])
def test_the_images_are_labelled_with_it(project: str, version: str) -> None:
    """An image built without arguments says which release it is."""
    text = Path(ROOT / project / "Dockerfile").read_text("utf-8")
    assert re.findall(r"^ARG VERSION=(\S+)$", text, re.MULTILINE) == [version]


def test_the_operator_runs_its_own_releases_runner(version: str) -> None:
    """Without a setting the operator uses the runner that was made with it."""
    settings = OperatorSettings.from_environment({"POD_NAMESPACE": "system"})
    assert settings.runner_image.rpartition(":")[2] == version
