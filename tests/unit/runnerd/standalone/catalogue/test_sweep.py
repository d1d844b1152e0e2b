"""What interrupted work left behind."""

import os
from pathlib import Path

import pytest

from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.sweep import PATIENCE
from tests.unit.runnerd.standalone.catalogue.conftest import Adder

NOW = 1000.0
OLD = NOW - PATIENCE - 1
KEY = "e" * 64


def _made(folder: Path, touched: float) -> Path:
    folder.mkdir()
    (folder / "model.gguf").write_bytes(bytes(100))
    os.utime(folder / "model.gguf", (touched, touched))
    os.utime(folder, (OLD, OLD))
    return folder


@pytest.mark.parametrize("name", [f"{KEY}.partial", KEY, f"load-{'0' * 32}.partial"])
def test_old_leftovers_go(catalogue: Catalogue, name: str) -> None:
    """Partial downloads, and whole ones that never became a model, after seven days."""
    left = _made(catalogue.root / name, OLD)
    assert catalogue.sweep() >= 100
    assert not left.exists()
    assert [path.name for path in catalogue.root.iterdir()] == ["models.lock"]


@pytest.mark.parametrize("name", [f"{KEY}.partial", KEY])
def test_young_leftovers_stay(catalogue: Catalogue, name: str) -> None:
    """What was written within seven days may be gone on with."""
    left = _made(catalogue.root / name, OLD + 2)
    assert catalogue.sweep() == 0
    assert left.exists()


def test_half_removed_goes_at_once(catalogue: Catalogue) -> None:
    """What a crash left of a removal is nobody's."""
    left = _made(catalogue.root / f"{KEY}.discarded", NOW)
    catalogue.sweep()
    assert not left.exists()


def test_what_is_being_pulled_stays(catalogue: Catalogue) -> None:
    """However old: whoever holds the lock is at work."""
    store = catalogue.store(f"sha256:{KEY}")
    _made(store.partial, OLD)
    with store.lock():
        catalogue.sweep()
        assert store.partial.exists()
    catalogue.sweep()
    assert not store.partial.exists()


def test_models_stay(catalogue: Catalogue, adder: Adder) -> None:
    """Models are never swept, only an old partial download beside one."""
    stored = adder("m")
    for path in [*stored.folder.iterdir(), stored.folder]:
        os.utime(path, (OLD, OLD))
    assert catalogue.sweep() == 0
    partial = _made(catalogue.root / f"{stored.identity[7:]}.partial", OLD)
    catalogue.sweep()
    assert catalogue.find("m") == stored
    assert stored.weights.exists()
    assert not partial.exists()


def test_files_that_no_model_leads_to_go(catalogue: Catalogue) -> None:
    """A crash between a model's files and the link to them; what is young may become a model."""
    young = _made(catalogue.root / f"sha256-{'1' * 64}", NOW)
    old = _made(catalogue.root / f"sha256-{'2' * 64}", OLD)
    half = _made(catalogue.root / f"sha256-{'3' * 64}.discarded", NOW)
    assert catalogue.sweep() >= 200
    assert (young.exists(), old.exists(), half.exists()) == (True, False, False)


def test_an_old_link_goes_with_its_files(catalogue: Catalogue) -> None:
    """A model that never came into the index, and that nothing else leads to."""
    content = _made(catalogue.root / f"sha256-{'1' * 64}", OLD)
    link = catalogue.root / KEY
    link.symlink_to(content.name)
    assert catalogue.sweep() == 0
    os.utime(link, (OLD, OLD), follow_symlinks=False)
    assert catalogue.sweep() >= 100
    assert not link.is_symlink()
    assert not content.exists()


def test_files_of_others_stay(catalogue: Catalogue) -> None:
    """Only names that are ours are looked at."""
    for name in ("other", "abc.partial", "lost+found", f"{KEY}.partial.bak", "0123456789abcdef"):
        _made(catalogue.root / name, OLD)
    before = sorted(path.name for path in catalogue.root.iterdir())
    catalogue.sweep()
    assert sorted(path.name for path in catalogue.root.iterdir()) == sorted(
        [*before, "models.lock"]
    )
