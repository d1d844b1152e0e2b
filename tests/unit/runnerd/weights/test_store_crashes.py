"""A process that ends at any step of its work on a volume."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from modelrunner_protocol.wire import Artifact, WeightsFile
from runnerd.weights.content import drop_content
from runnerd.weights.store import Store
from tests.unit.runnerd.weights.store_cases import (
    ARTIFACT,
    CONTENT,
    OTHER,
    RENAMED,
    SOURCE,
    TWICE,
    adopted,
    published,
    truncate,
)


class CrashError(BaseException):
    """The process ends here."""


@contextmanager
def _crash_after(steps: int) -> Iterator[list[int]]:
    """End at the step after so many that change names on the volume; tells how many there were."""
    done = [0]

    def counted(change: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object, **named: object) -> object:
            if done[0] == steps:
                raise CrashError
            done[0] += 1
            return change(*args, **named)

        return step

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in (
            (Path, "rename"),
            (Path, "symlink_to"),
            (Path, "unlink"),
            (Path, "mkdir"),
            (shutil, "rmtree"),
        ):
            patch.setattr(owner, name, counted(getattr(owner, name)))
        yield done


def _nothing(root: Path) -> list[Store]:
    return []


def _shared_and_damaged(root: Path) -> list[Store]:
    other = published(root)
    other.forget()
    other = Store(root, "other")
    other.partial.mkdir()
    (other.partial / "m.gguf").write_bytes(b"12345")
    other.publish(OTHER, RENAMED)
    (other.folder / "m.gguf").write_bytes(b"1234")
    return [other]


def _shared_under_another_name(root: Path) -> list[Store]:
    other = Store(root, "other")
    other.partial.mkdir()
    (other.partial / "twice.gguf").write_bytes(b"12345")
    other.publish(OTHER, replace(RENAMED, files=TWICE.files))
    (other.folder / "twice.gguf").write_bytes(b"1234")
    return [other]


def _folder_of_before(root: Path) -> list[Store]:
    store = published(root)
    store.folder.unlink()
    (root / CONTENT).rename(store.folder)
    truncate(store)
    return []


def _another_content(root: Path) -> list[Store]:
    store = Store(root, "0123456789abcdef")
    file = WeightsFile(path="m.gguf", size_bytes=5, sha256="cd")
    store.partial.mkdir()
    (store.partial / "m.gguf").write_bytes(b"54321")
    store.publish(SOURCE, replace(ARTIFACT, files=(file,)))
    (store.folder / "m.gguf").unlink()
    return []


def _words(artifact: Artifact) -> Artifact:
    """What a source says of it, but for names."""
    return replace(artifact, files=())


@pytest.mark.parametrize(
    "before",
    [
        _nothing,
        _shared_and_damaged,
        _shared_under_another_name,
        _folder_of_before,
        _another_content,
    ],
)
def test_a_crash_at_any_step_of_publishing(
    before: Callable[[Path], list[Store]], tmp_path: Path
) -> None:
    """Nobody ever sees half, and the next pull makes it whole."""
    for steps in range(100):
        root = tmp_path / str(steps)
        root.mkdir()
        others = before(root)
        names = [other.recorded().files[0].path for other in others]
        crashed = False
        with _crash_after(steps):
            try:
                published(root)
            except CrashError:
                crashed = True
        store = Store(root, "0123456789abcdef")
        if found := store.whole():
            assert _words(found) == _words(ARTIFACT)
            assert (store.folder / found.files[0].path).read_bytes() == b"12345"
        for other in others:
            assert _words(other.whole() or RENAMED) == _words(RENAMED)
        store.discard_partial()
        assert _words(published(root).whole() or RENAMED) == _words(ARTIFACT)
        assert all(_words(other.whole() or ARTIFACT) == _words(RENAMED) for other in others)
        assert [other.recorded().files[0].path for other in others] == names
        if not crashed:
            break
    else:
        raise AssertionError("it never ends")
    assert steps >= 3


@pytest.mark.parametrize("shared", [True, False])
def test_a_crash_at_any_step_of_forgetting(shared: bool, tmp_path: Path) -> None:
    """Another key stays whole, and nothing is left once it is done again."""
    for steps in range(100):
        root = tmp_path / str(steps)
        root.mkdir()
        store = published(root)
        others = [adopted(root)] if shared else []
        crashed = False
        with _crash_after(steps):
            try:
                store.forget()
            except CrashError:
                crashed = True
        assert all(other.whole() == RENAMED for other in others)
        store.forget()
        for other in others:
            other.forget()
        left = [path.name for path in root.iterdir()]
        assert all(name.startswith("sha256-") for name in left)
        assert all(drop_content(root, name.removesuffix(".discarded")) for name in left)
        if not crashed:
            assert left == []
            break
    else:
        raise AssertionError("it never ends")
