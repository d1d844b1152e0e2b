"""What cannot be packaged."""

import os
from pathlib import Path

import pytest

from runnerd.weights.failure import WeightsError
from runnerd.weights.oci.package import Ingredients, build
from tests.support.gguf_files import model

PLACES = ("weights", "projector", "chat_template", "licenses")


def _ingredients(folder: Path, place: str, path: Path) -> Ingredients:
    good = folder / "good.gguf"
    good.write_bytes(model(4096))
    return Ingredients(
        weights=[path if place == "weights" else good],
        projector=path if place == "projector" else None,
        chat_template=path if place == "chat_template" else None,
        licenses=[path] if place == "licenses" else [],
    )


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["pipe", "device", "nothing"])
def test_what_is_no_file(place: str, kind: str, tmp_path: Path) -> None:
    """Nobody waits at a pipe, and nobody reads a device to its end."""
    path = Path("/dev/zero") if kind == "device" else tmp_path / "x.gguf"
    if kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(WeightsError, match="is not there, or is no file"):
        build(_ingredients(tmp_path, place, path))


def test_a_projector_that_is_none(tmp_path: Path) -> None:
    """It is noticed before anybody pulls it."""
    (tmp_path / "page.gguf").write_text("<html>")
    with pytest.raises(WeightsError, match=r"page\.gguf is not a GGUF file"):
        build(_ingredients(tmp_path, "projector", tmp_path / "page.gguf"))


@pytest.mark.parametrize("name", ["a\nb.gguf", "a\x1b.gguf", "C:a.gguf"])
def test_names_that_no_pull_would_take(name: str, tmp_path: Path) -> None:
    """Who packages hears of it, and not whoever pulls."""
    (tmp_path / name).write_bytes(model(4096))
    with pytest.raises(WeightsError, match="rename the file"):
        build(_ingredients(tmp_path, "weights", tmp_path / name))
