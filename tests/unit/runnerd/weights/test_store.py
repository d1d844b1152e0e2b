"""The cache on a volume."""

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from modelrunner_protocol.wire import Artifact, FileKind, HttpSource, Source, WeightsFile
from runnerd.weights.content import content_name, content_names, drop_content
from runnerd.weights.failure import WeightsError
from runnerd.weights.store import Store

_SOURCE = Source(http=HttpSource(url="https://user:pass@host:8443/a/m.gguf?token=secret#f"))
_ARTIFACT = Artifact(
    format="gguf", size_bytes=5, files=(WeightsFile(path="m.gguf", size_bytes=5, sha256="ab"),)
)
_CONTENT = content_name(_ARTIFACT.files)


def _published(root: Path) -> Store:
    store = Store(root, "0123456789abcdef")
    store.partial.mkdir()
    (store.partial / "m.gguf").write_bytes(b"12345")
    store.publish(_SOURCE, _ARTIFACT)
    return store


def test_published_artifact_is_whole(tmp_path: Path) -> None:
    """What was published is found, and nothing partial is left."""
    store = _published(tmp_path)
    assert store.whole() == _ARTIFACT
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0123456789abcdef", _CONTENT]
    assert sorted(p.name for p in store.folder.iterdir()) == ["m.gguf", "manifest.json"]


def test_manifest_keeps_no_secret(tmp_path: Path) -> None:
    """The user and query parts of a URL do not get onto the volume."""
    text = (_published(tmp_path).folder / "manifest.json").read_text()
    assert json.loads(text)["version"] == 1
    assert json.loads(text)["source"] == {"http": {"url": "https://host:8443/a/m.gguf"}}
    assert "secret" not in text
    assert "pass" not in text


def _truncate(store: Store) -> None:
    (store.folder / "m.gguf").write_bytes(b"1234")


def _remove(store: Store) -> None:
    (store.folder / "m.gguf").unlink()


def _link(store: Store) -> None:
    (store.folder / "m.gguf").rename(store.root / "elsewhere")
    (store.folder / "m.gguf").symlink_to(store.root / "elsewhere")


def _no_manifest(store: Store) -> None:
    (store.folder / "manifest.json").unlink()


def _half_manifest(store: Store) -> None:
    path = store.folder / "manifest.json"
    path.write_text(path.read_text()[:50])


def _newer_manifest(store: Store) -> None:
    (store.folder / "manifest.json").write_text('{"version":2,"artifact":{}}')


def _escaping_manifest(store: Store) -> None:
    path = store.folder / "manifest.json"
    path.write_text(path.read_text().replace('"m.gguf"', '"../m.gguf"'))


def _deep_manifest(store: Store) -> None:
    (store.folder / "manifest.json").write_text("[" * 100_000)


def _huge_manifest(store: Store) -> None:
    (store.folder / "manifest.json").write_bytes(b" " * (5 << 20))


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _remove,
        _link,
        _no_manifest,
        _half_manifest,
        _newer_manifest,
        _escaping_manifest,
        _deep_manifest,
        _huge_manifest,
    ],
)
def test_damaged_artifact_is_not_whole(damage: object, tmp_path: Path) -> None:
    """Anything missing or odd makes the folder one that has to be pulled again."""
    store = _published(tmp_path)
    assert callable(damage)
    damage(store)
    assert store.whole() is None


def test_publish_replaces_a_damaged_folder(tmp_path: Path) -> None:
    """A folder that is not whole gives way, and nothing of it stays."""
    store = _published(tmp_path)
    _truncate(store)
    (store.folder / "other").mkdir()
    _published(tmp_path)
    assert store.whole() == _ARTIFACT
    assert sorted(p.name for p in store.folder.iterdir()) == ["m.gguf", "manifest.json"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0123456789abcdef", _CONTENT]


def test_publish_removes_leftovers(tmp_path: Path) -> None:
    """Notes of the pull and whatever else lay in the partial folder are not published."""
    store = Store(tmp_path, "key")
    store.partial.mkdir()
    (store.partial / ".state.json").write_text("{}")
    (store.partial / "odd").symlink_to("/etc")
    (store.partial / "folder").mkdir()
    (store.partial / "m.gguf").write_bytes(b"12345")
    store.publish(_SOURCE, _ARTIFACT)
    assert sorted(p.name for p in store.folder.iterdir()) == ["m.gguf", "manifest.json"]
    assert Path("/etc").is_dir()


def test_only_one_holds_the_lock(tmp_path: Path) -> None:
    """A second writer is told that it is not the only one; afterwards it may."""
    first, second = Store(tmp_path, "key"), Store(tmp_path, "key")
    with first.lock() as mine:
        assert mine
        with second.lock() as also_mine:
            assert not also_mine
    with second.lock() as mine:
        assert mine


def test_lock_does_not_follow_a_link(tmp_path: Path) -> None:
    """A link in the place of the lock does not make us open another file."""
    (tmp_path / "key.lock").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic links"), Store(tmp_path, "key").lock():
        raise AssertionError
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("key", ["", "..", "a/b", "/etc", ".hidden", "A", "x" * 65])
def test_odd_key_is_refused(key: str, tmp_path: Path) -> None:
    """A key is one folder below the root and nothing else."""
    with pytest.raises(WeightsError, match="not the key"):
        Store(tmp_path, key)


OTHER = Source(http=HttpSource(url="https://other/m.gguf"))
RENAMED = replace(_ARTIFACT, digest="sha256:other", etag='"v2"', revision="main")


def _second(root: Path) -> Store:
    """Another source that has equal bytes."""
    store = Store(root, "fedcba9876543210")
    assert store.adopt(OTHER, RENAMED)
    return store


def test_the_key_is_a_link(tmp_path: Path) -> None:
    """It is relative, so that it leads to the files wherever the volume is mounted."""
    (tmp_path / "volume").mkdir()
    store = _published(tmp_path / "volume")
    assert store.folder.readlink() == Path(_CONTENT)
    (tmp_path / "volume").rename(tmp_path / "elsewhere")
    moved = Store(tmp_path / "elsewhere", store.key)
    assert moved.whole() == _ARTIFACT
    assert (moved.folder / "m.gguf").read_bytes() == b"12345"


def test_equal_bytes_are_shared(tmp_path: Path) -> None:
    """A second source gets a link, keeps what it calls the artifact, and so does the first."""
    first, second = _published(tmp_path), _second(tmp_path)
    assert second.whole() == RENAMED
    assert first.whole() == _ARTIFACT
    assert second.place == first.place
    assert "other" not in (first.place / "manifest.json").read_text()


@pytest.mark.parametrize(
    "file",
    [
        WeightsFile(path="m.gguf", size_bytes=5, sha256="cd"),
        WeightsFile(path="m.gguf", size_bytes=5, sha256="ab", kind=FileKind.PROJECTOR),
        WeightsFile(path="m.gguf", size_bytes=6, sha256="ab"),
        WeightsFile(path="m.gguf", size_bytes=5),
    ],
)
def test_other_bytes_are_not_shared(file: WeightsFile, tmp_path: Path) -> None:
    """Another digest, kind or size, or a digest that nobody knows."""
    _published(tmp_path)
    store = Store(tmp_path, "fedcba9876543210")
    assert not store.adopt(OTHER, replace(_ARTIFACT, files=(file,)))
    assert not store.folder.is_symlink()


TWICE = replace(RENAMED, files=(replace(_ARTIFACT.files[0], path="twice.gguf", etag='"v2"'),))
HELD = replace(TWICE, files=(replace(TWICE.files[0], path="m.gguf"),))


def _twice(root: Path) -> Store:
    """Another source that has equal bytes under another name, and did not know so before."""
    store = Store(root, "fedcba9876543210")
    store.partial.mkdir()
    (store.partial / "twice.gguf").write_bytes(b"12345")
    store.publish(OTHER, TWICE)
    return store


def _listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_equal_bytes_are_shared_whatever_they_are_called(tmp_path: Path) -> None:
    """Found before or after a download: the files keep their names, and the second is told them."""
    first = _published(tmp_path)
    kept = (first.folder / "m.gguf").stat()
    for known_before in (True, False):
        found = Store(tmp_path, "fedcba9876543210") if known_before else _twice(tmp_path)
        assert not known_before or found.adopt(OTHER, TWICE)
        assert (found.whole(), first.whole()) == (HELD, _ARTIFACT)
        assert _listed(found.folder) == ["m.gguf", "manifest.json"]
        assert (found.folder / "m.gguf").stat().st_ino == kept.st_ino
        assert found.place == first.place
        found.forget()
    assert first.whole() == _ARTIFACT


def test_names_that_files_have_for_each_other_are_kept(tmp_path: Path) -> None:
    """A safetensors model under other names is another one."""
    one = replace(_ARTIFACT.files[0], path="a.safetensors")
    store = Store(tmp_path, "key")
    store.partial.mkdir()
    (store.partial / one.path).write_bytes(b"12345")
    store.publish(_SOURCE, replace(_ARTIFACT, files=(one,)))
    other = replace(_ARTIFACT, files=(replace(one, path="b.safetensors"),))
    assert not Store(tmp_path, "other").adopt(OTHER, other)


def test_damage_is_mended_under_the_names_that_are_there(tmp_path: Path) -> None:
    """By whoever pulls first, whatever that one calls the files."""
    first, second = _published(tmp_path), _twice(tmp_path)
    for store in (first, second):
        _truncate(first)
        store.partial.mkdir()
        name = "twice.gguf" if store is second else "m.gguf"
        (store.partial / name).write_bytes(b"12345")
        store.publish(
            OTHER, replace(RENAMED, files=TWICE.files if store is second else _ARTIFACT.files)
        )
        assert _listed(first.folder) == ["m.gguf", "manifest.json"]
        assert (first.folder / "m.gguf").read_bytes() == b"12345"
        assert second.whole() == HELD


def test_names_are_found_in_a_note_where_the_manifest_is_damaged(tmp_path: Path) -> None:
    """The first runner's file stays where that looks for it."""
    first, second = _published(tmp_path), _twice(tmp_path)
    _half_manifest(first)
    _twice(tmp_path)
    assert second.whole() == HELD
    assert first.whole() is not None
    assert _listed(first.folder) == ["m.gguf", "manifest.json"]


def test_files_of_others_stay_where_nobody_knows_their_names(tmp_path: Path) -> None:
    """Nothing but a damaged manifest: what is there may be what another runner reads."""
    first = _published(tmp_path)
    _half_manifest(first)
    second = _twice(tmp_path)
    assert second.whole() == TWICE
    assert _listed(first.folder) == ["m.gguf", "manifest.json", "twice.gguf"]
    assert first.whole() is not None


def test_a_manifest_with_hostile_names_names_nothing(tmp_path: Path) -> None:
    """Files do not get names of its choice."""
    first = _published(tmp_path)
    _escaping_manifest(first)
    assert _published(tmp_path).whole() == _ARTIFACT
    assert [path.name for path in tmp_path.iterdir() if path.suffix] == []


def test_a_content_that_is_called_as_before_is_shared(tmp_path: Path) -> None:
    """Contents had their names from names and bytes: they stay, are found, and are mended."""
    first = _published(tmp_path)
    _, before = content_names(_ARTIFACT.files)
    first.folder.unlink()
    (tmp_path / _CONTENT).rename(tmp_path / before)
    first.folder.symlink_to(before)
    assert first.whole() == _ARTIFACT
    second = _second(tmp_path)
    assert second.place == tmp_path / before
    second.forget()
    _truncate(first)
    first.partial.mkdir()
    (first.partial / "m.gguf").write_bytes(b"12345")
    first.publish(_SOURCE, _ARTIFACT, into=first.place)
    assert (first.whole(), first.place) == (_ARTIFACT, tmp_path / before)
    assert _published(tmp_path).place == tmp_path / before


def test_a_content_that_is_not_whole_is_not_shared(tmp_path: Path) -> None:
    """Its files come again, and then it is whole for everybody."""
    first = _published(tmp_path)
    second = _second(tmp_path)
    _truncate(first)
    assert not Store(tmp_path, "third").adopt(OTHER, _ARTIFACT)
    assert (first.whole(), second.whole()) == (None, None)
    _published(tmp_path)
    assert (first.whole(), second.whole()) == (_ARTIFACT, RENAMED)


def test_files_go_with_their_last_key(tmp_path: Path) -> None:
    """Who forgets one key takes nothing from another; what is left belongs to that alone."""
    first, second = _published(tmp_path), _second(tmp_path)
    first.forget()
    assert second.whole() == RENAMED
    assert not first.folder.is_symlink()
    second.forget()
    assert list(tmp_path.iterdir()) == []


def test_a_forgotten_key_leaves_no_note(tmp_path: Path) -> None:
    """What a source called an artifact is not told after it was forgotten."""
    first, second = _published(tmp_path), _second(tmp_path)
    second.forget()
    assert sorted(p.name for p in first.folder.iterdir()) == ["m.gguf", "manifest.json"]


def test_a_key_that_moves_leaves_its_old_files(tmp_path: Path) -> None:
    """To another content; the old one goes, unless another key leads to it."""
    store, other = _published(tmp_path), _second(tmp_path)
    newer = replace(
        _ARTIFACT, files=(WeightsFile(path="m.gguf", size_bytes=5, sha256="cd"),), etag="new"
    )
    for kept in (True, False):
        store.partial.mkdir()
        (store.partial / "m.gguf").write_bytes(b"54321")
        store.publish(_SOURCE, newer)
        assert store.whole() == newer
        assert (tmp_path / _CONTENT).exists() is kept
        assert (store.folder / "m.gguf").read_bytes() == b"54321"
        other.forget()
        _published(tmp_path)


def test_a_folder_of_before_is_found(tmp_path: Path) -> None:
    """Caches that were filled when keys were folders stay whole, and are read where they are."""
    store = _published(tmp_path)
    store.folder.unlink()
    (tmp_path / _CONTENT).rename(store.folder)
    assert store.whole() == _ARTIFACT
    _truncate(store)
    _published(tmp_path)
    assert store.folder.is_symlink()
    assert store.whole() == _ARTIFACT
    assert sorted(p.name for p in tmp_path.iterdir()) == [store.key, _CONTENT]


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_a_volume_that_knows_no_links(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is a folder there, as before, and is mended as such."""

    def refused(*_: object) -> None:
        raise OSError(number, "no links")

    monkeypatch.setattr(Path, "symlink_to", refused)
    store = _published(tmp_path)
    assert store.whole() == _ARTIFACT
    assert [p.name for p in tmp_path.iterdir()] == [store.key]
    assert not Store(tmp_path, "other").adopt(OTHER, _ARTIFACT)
    _truncate(store)
    _published(tmp_path)
    assert store.whole() == _ARTIFACT
    store.forget()
    assert list(tmp_path.iterdir()) == []


def test_no_folder_is_lost_where_links_are_refused_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of a volume on one that knows no links: the folder stays, the content is not taken."""
    store = _published(tmp_path)
    content = tmp_path / _CONTENT
    store.folder.unlink()
    shutil.copytree(content, store.folder)

    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(Path, "symlink_to", refused)
    assert not store.adopt(OTHER, _ARTIFACT)
    assert store.folder.is_dir()
    assert store.whole() == _ARTIFACT


@pytest.mark.parametrize("target", ["/etc", "..", "other", f"../{_CONTENT}"])
def test_a_link_that_leads_elsewhere_is_not_followed(target: str, tmp_path: Path) -> None:
    """Only a content of the same volume counts; anything else gives way."""
    store = _published(tmp_path)
    (tmp_path / _CONTENT).rename(tmp_path / "other")
    store.folder.unlink()
    store.folder.symlink_to(target)
    assert store.whole() is None
    _published(tmp_path)
    assert store.whole() == _ARTIFACT
    assert Path("/etc").is_dir()


def test_files_are_replaced_one_by_one(tmp_path: Path) -> None:
    """What is mended stays in sight: the good files of another key never vanish."""
    files = tuple(WeightsFile(path=f"{name}.gguf", size_bytes=5, sha256=name * 2) for name in "ab")
    artifact = replace(_ARTIFACT, files=files, size_bytes=10)
    store = Store(tmp_path, "key")
    for names in ("ab", "b"):
        store.partial.mkdir()
        for name in names:
            (store.partial / f"{name}.gguf").write_bytes(b"12345")
        store.publish(_SOURCE, artifact, into=store.place if names == "b" else None)
        kept = (store.place / "a.gguf").stat().st_ino
        assert store.whole() == artifact
        store.isolate("b.gguf")
        assert store.whole() is None
        assert (store.place / "a.gguf").stat().st_ino == kept
    store.isolate("b.gguf")
    assert (store.quarantine / "b.gguf").exists()


def test_a_content_that_is_linked_while_it_goes_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who removes it looks again once it is out of sight."""
    store = _published(tmp_path)
    store.folder.unlink()
    rename = Path.rename

    def link_meanwhile(path: Path, target: Path) -> Path:
        if path.name == _CONTENT and not store.folder.is_symlink():
            store.folder.symlink_to(_CONTENT)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", link_meanwhile)
    assert not drop_content(tmp_path, _CONTENT)
    assert store.whole() == _ARTIFACT


def test_a_file_with_another_name_is_not_written_to(tmp_path: Path) -> None:
    """What a killed import left is somebody's file, too; what a pull left is its own."""
    store = Store(tmp_path, "key")
    store.disown_partial_file("m.gguf")
    store.partial.mkdir()
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"12345")
    (store.partial / "m.gguf").hardlink_to(mine)
    (store.partial / "n.gguf").write_bytes(b"123")
    for name in ("m.gguf", "n.gguf"):
        store.disown_partial_file(name)
    assert [path.name for path in store.partial.iterdir()] == ["n.gguf"]
    assert mine.read_bytes() == b"12345"


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
    other = _published(root)
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
    store = _published(root)
    store.folder.unlink()
    (root / _CONTENT).rename(store.folder)
    _truncate(store)
    return []


def _another_content(root: Path) -> list[Store]:
    store = Store(root, "0123456789abcdef")
    file = WeightsFile(path="m.gguf", size_bytes=5, sha256="cd")
    store.partial.mkdir()
    (store.partial / "m.gguf").write_bytes(b"54321")
    store.publish(_SOURCE, replace(_ARTIFACT, files=(file,)))
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
                _published(root)
            except CrashError:
                crashed = True
        store = Store(root, "0123456789abcdef")
        if found := store.whole():
            assert _words(found) == _words(_ARTIFACT)
            assert (store.folder / found.files[0].path).read_bytes() == b"12345"
        for other in others:
            assert _words(other.whole() or RENAMED) == _words(RENAMED)
        store.discard_partial()
        assert _words(_published(root).whole() or RENAMED) == _words(_ARTIFACT)
        assert all(_words(other.whole() or _ARTIFACT) == _words(RENAMED) for other in others)
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
        store = _published(root)
        others = [_second(root)] if shared else []
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
