"""A volume that fails in the middle of a file.

No kernel turns a volume read-only while it is written because somebody asks for it, and the errors
of a disk cannot be had without one; so here the writing itself is told to fail, and the rest is real.
"""

import errno
import os
from pathlib import Path

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import (
    Artifact,
    HttpSource,
    OciSource,
    PullConfig,
    Source,
    WeightsFile,
)
from runnerd.weights.cli import pull_by
from runnerd.weights.clock import SystemClock
from runnerd.weights.failure import WeightsError
from runnerd.weights.progress import ProgressMeter
from runnerd.weights.settings import Settings
from tests.support.file_server import FileServer
from tests.support.gguf_files import MODEL, model
from tests.support.oci_files import GGUF, OciFiles

KEY = "0123456789abcdef"
MIB = 1 << 20
SIZE = 4 * MIB
ALLOWED = 2 * MIB


async def _pull(server: FileServer, root: Path) -> tuple[Artifact, int]:
    file = WeightsFile(path="model.gguf", size_bytes=SIZE)
    config = PullConfig(
        source=Source(http=HttpSource(url=server.url())),
        key=KEY,
        root=str(root),
        expected=Artifact(format="gguf", size_bytes=SIZE, files=(file,)),
    )
    return await _pull_as_told(config)


async def _pull_as_told(config: PullConfig) -> tuple[Artifact, int]:
    clock = SystemClock()
    meter = ProgressMeter(clock)
    artifact = await pull_by(config, Settings(give_up_after=30.0), meter, clock)
    return artifact, meter.downloaded


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("code", "says", "reason", "kept"),
    [
        (errno.EROFS, "has become read-only, with 2.", Reason.PULL_FAILED, True),
        (errno.EIO, "failed: Input/output error", Reason.PULL_FAILED, True),
        (errno.EDQUOT, "too full: the weights need 4.00 MiB", Reason.CACHE_TOO_SMALL, False),
    ],
)
async def test_errors_in_the_middle(
    code: int,
    says: str,
    reason: Reason,
    kept: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Told in words, nothing is published, and the pull goes on from what can be kept."""
    pwrite = os.pwrite

    def failing(handle: int, data: bytes | bytearray | memoryview, at: int) -> int:
        if at >= ALLOWED:
            raise OSError(code, os.strerror(code))
        return pwrite(handle, memoryview(data)[: ALLOWED - at], at)

    async with FileServer({"/model.gguf": model(SIZE)}).running() as server:
        with monkeypatch.context() as patched:
            patched.setattr(os, "pwrite", failing)
            with pytest.raises(WeightsError, match=says) as caught:
                await _pull(server, tmp_path)
        assert (caught.value.reason, caught.value.retryable) == (reason, kept)
        names = _names(tmp_path)
        assert (KEY in names, f"{KEY}.partial" in names) == (False, kept)
        artifact, came = await _pull(server, tmp_path)
    assert (artifact.size_bytes, came) == (SIZE, SIZE - ALLOWED if kept else SIZE)
    assert (tmp_path / KEY / "model.gguf").read_bytes() == model(SIZE)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (errno.EROFS, r"with 2\.\d+ MiB of 4\.00 MiB on it"),
        (errno.ENOSPC, "the weights need 4.00 MiB"),
    ],
)
async def test_a_volume_that_fails_while_one_shard_is_mended(
    code: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept needs no room: a claim would grow by it, and never shrinks again."""
    parts = [model(SIZE, {**MODEL, "split.no": at, "split.count": 3}, seed=at) for at in range(3)]
    files = OciFiles([(GGUF, part, "") for part in parts])
    pwrite, statvfs, full = os.pwrite, os.statvfs, False

    def failing(handle: int, data: bytes | bytearray | memoryview, at: int) -> int:
        nonlocal full
        if at >= ALLOWED:
            full = True
            raise OSError(code, os.strerror(code))
        return pwrite(handle, memoryview(data)[: ALLOWED - at], at)

    def free(path: Path) -> os.statvfs_result:
        found = list(statvfs(path))
        return os.statvfs_result([*found[:3], 0, 0, *found[5:]] if full else found)

    async with FileServer(files.files()).running() as server:
        reference = f"127.0.0.1:{server.port}/{files.name}:{files.tag}"
        config = PullConfig(
            source=Source(oci=OciSource(reference=reference, insecure=True)),
            key=KEY,
            root=str(tmp_path),
        )
        await _pull_as_told(config)
        (tmp_path / KEY / "model-00002-of-00003.gguf").unlink()
        monkeypatch.setattr(os, "pwrite", failing)
        monkeypatch.setattr(os, "statvfs", free)
        with pytest.raises(WeightsError, match=says) as caught:
            await _pull_as_told(config)
    assert caught.value.missing_bytes <= SIZE + MIB
    assert (caught.value.missing_bytes > 0) is (code == errno.ENOSPC)
