"""A volume that fails in the middle of a file.

No kernel turns a volume read-only while it is written because somebody asks for it, and the errors
of a disk cannot be had without one; so here the writing itself is told to fail, and the rest is real.
"""

import errno
import os
from pathlib import Path

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Artifact, HttpSource, PullConfig, Source, WeightsFile
from runnerd.weights.cli import pull_by
from runnerd.weights.clock import SystemClock
from runnerd.weights.failure import WeightsError
from runnerd.weights.progress import ProgressMeter
from runnerd.weights.settings import Settings
from tests.support.file_server import FileServer
from tests.support.gguf_files import model

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
