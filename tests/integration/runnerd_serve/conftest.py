"""Real `runnerd serve` processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import engine
from tests.support.gguf_files import model
from tests.support.serving import Serving, scripted_program, serving_smollm2, stock

__all__ = ["engine", "scripted", "serving_smollm2", "small_models"]


def small_models(folder: Path, *names: str) -> None:
    """Models of nothing, for the scripted engine, as `ai/NAME` in a folder's store."""
    for seed, name in enumerate(names, 1):
        file = folder / f"{name}.gguf"
        file.write_bytes(model(seed=seed))
        stock(folder / "models", file, f"ai/{name}:latest")


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with the models `ai/a` and `ai/b`, before the scripted engine."""
    folder = tmp_path_factory.mktemp("scripted")
    small_models(folder, "a", "b")
    with Serving(folder, scripted_program(folder)) as server:
        yield server
