"""A catalogue, and small models for it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runnerd.standalone.catalogue.add import add
from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.stored import Stored
from runnerd.weights.oci.package import Ingredients
from tests.support.gguf_files import model

Adder = Callable[..., Stored]


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """An empty one."""
    return Catalogue(tmp_path / "models", now=lambda: 1000.0)


@pytest.fixture
def adder(tmp_path: Path, catalogue: Catalogue) -> Adder:
    """Adds a model of 4 KiB whose bytes `seed` decides, under a name."""

    def added(name: str, seed: int = 1) -> Stored:
        file = tmp_path / f"m{seed}.gguf"
        file.write_bytes(model(seed=seed))
        return add(catalogue, Ingredients(weights=[file]), name)

    return added
