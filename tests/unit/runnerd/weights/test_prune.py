"""What of a shared cache can go."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from modelrunner_protocol.wire import Artifact, OciSource, Source, WeightsFile
from runnerd.weights.failure import WeightsError
from runnerd.weights.lease import BusyError
from runnerd.weights.prune import Kind, Leftover, leftovers, prune
from runnerd.weights.store import Store
from tests.support.virtual_time import virtual

NOW = 1_000_000.0
DAY = 86400.0


class LoopClock:
    """The time of a virtual loop."""

    def now(self) -> float:
        """Seconds."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)


def _artifact(root: Path, key: str, *, days: float, content: str = "a") -> Store:
    """One of 5 bytes that was wanted so many days ago; equal contents are shared."""
    file = WeightsFile(path="m.gguf", size_bytes=5, sha256=content)
    artifact = Artifact(format="gguf", size_bytes=5, files=(file,))
    source = Source(oci=OciSource(reference=f"ai/{key}"))
    store = Store(root, key)
    if not store.adopt(source, artifact):
        store.partial.mkdir()
        (store.partial / "m.gguf").write_bytes(b"12345")
        store.publish(source, artifact)
    _aged(store.folder, days)
    return store


def _aged(path: Path, days: float) -> None:
    moment = NOW - days * DAY
    for one in [path, *(path.rglob("*") if path.is_dir() and not path.is_symlink() else ())]:
        os.utime(one, (moment, moment), follow_symlinks=False)


def _found(root: Path, *keep: str, days: float = 7) -> list[Leftover]:
    return leftovers(root, keep=keep, unused_for=days * DAY, now=NOW)


def test_what_was_not_wanted_for_long(tmp_path: Path) -> None:
    """Neither what is kept nor what is young; with its source and its age."""
    for key, days in (("old", 8.0), ("kept", 8.0), ("young", 6.0)):
        _artifact(tmp_path, key, days=days, content=key)
    (found,) = _found(tmp_path, "kept")
    assert (found.name, found.kind, found.source) == ("old", Kind.ARTIFACT, "ai/old")
    assert found.idle == 8 * DAY
    assert found.size > 5


def test_shared_files_count_once(tmp_path: Path) -> None:
    """They become free with the last of their keys, and not while another is kept."""
    for key in ("a", "b", "c"):
        _artifact(tmp_path, key, days=8)
    sizes = {one.name: one.size > 5 for one in _found(tmp_path)}
    assert sizes == {"a": False, "b": False, "c": True}
    assert [one.size for one in _found(tmp_path, "b")] == [0, 0]


def test_leftovers(tmp_path: Path) -> None:
    """Old pulls and damaged files; what was half removed goes at once; a kept key's pull stays."""
    for name, days in (
        ("a.partial", 8),
        ("b.partial", 6),
        ("kept.partial", 8),
        ("a.quarantine", 8),
        ("a.discarded", 0),
        (f"sha256-{'1' * 64}", 8),
        (f"sha256-{'2' * 64}", 6),
        (f"sha256-{'3' * 64}.discarded", 0),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "m.gguf").write_bytes(b"12345")
        _aged(tmp_path / name, days)
    found = [(one.name, one.kind.value) for one in _found(tmp_path, "kept")]
    assert found == [
        ("a", "discarded"),
        ("a", "partial"),
        ("a", "quarantine"),
        (f"sha256-{'1' * 64}", "content"),
        (f"sha256-{'3' * 64}.discarded", "content"),
    ]


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    """Folders without a manifest, links that lead elsewhere, files."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "model.gguf").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("/etc")
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "lost+found").mkdir()
    assert _found(tmp_path, days=-1) == []


def test_the_store_of_a_server_is_none(tmp_path: Path) -> None:
    """Its models have names, which this knows nothing of."""
    (tmp_path / "models.json").write_text("{}")
    with pytest.raises(WeightsError, match="runnerd serve"):
        _found(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A wrong --root is told in words, with the option to mend."""
    with pytest.raises(WeightsError, match=r"there is no folder .*nowhere: .*--root"):
        _found(tmp_path / "nowhere")


async def _pruned(root: Path, one: Leftover) -> None:
    await prune(root, one, LoopClock(), unused_for=7 * DAY, now=NOW)


def test_everything_can_go(tmp_path: Path) -> None:
    """Nothing is left then, locks included; what is kept is whole."""
    kept = _artifact(tmp_path, "kept", days=8)
    _artifact(tmp_path, "a", days=8)
    for name in ("a.partial", "b.partial", "b.discarded", "c.quarantine", f"sha256-{'1' * 64}"):
        (tmp_path / name).mkdir()
        _aged(tmp_path / name, 8)
    for one in _found(tmp_path, "kept"):
        asyncio.run(_pruned(tmp_path, one))
    assert kept.whole() is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", kept.place.name]


async def test_what_is_being_written_stays(tmp_path: Path) -> None:
    """Whoever holds the lock is at work."""
    store = _artifact(tmp_path, "a", days=8)
    (one,) = _found(tmp_path)
    with store.lock(), pytest.raises(BusyError):
        await _pruned(tmp_path, one)
    assert store.whole() is not None


async def test_what_was_wanted_meanwhile_stays(tmp_path: Path) -> None:
    """Between the list and the removal somebody has found it there."""
    store = _artifact(tmp_path, "a", days=8)
    (one,) = _found(tmp_path)
    store.used()
    await _pruned(tmp_path, one)
    assert store.whole() is not None


def test_what_is_pulled_again_stays(tmp_path: Path) -> None:
    """Between two tries of a pull nobody holds the lock."""
    store = _artifact(tmp_path, "a", days=8)
    store.partial.mkdir()
    (store.partial / "m.gguf").write_bytes(b"123")
    _aged(store.partial, 6)
    assert _found(tmp_path) == []
    _aged(store.partial, 8)
    assert [one.kind for one in _found(tmp_path)] == [Kind.ARTIFACT, Kind.PARTIAL]


@virtual
async def test_a_living_lease_of_another_machine_is_respected(tmp_path: Path) -> None:
    """It is watched until it changes."""
    store = _artifact(tmp_path, "a", days=8)
    (one,) = _found(tmp_path)

    async def renewing() -> None:
        for count in range(100):
            store.lease.write_text(json.dumps({"node": "other", "renewals": count}))
            await asyncio.sleep(5)

    task = asyncio.create_task(renewing())
    await asyncio.sleep(0.1)
    with pytest.raises(BusyError):
        await _pruned(tmp_path, one)
    assert store.whole() is not None
    task.cancel()
