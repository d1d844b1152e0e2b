"""`runnerd verify` as a Job of the operator: RUNNERD_PULL in, an outcome out."""

import hashlib
import os
from pathlib import Path

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Artifact, ClaimSource, Source
from tests.integration.weights.commands import Commands, Ended
from tests.integration.weights.conftest import SIZE
from tests.support.gguf_files import model

SHA256 = hashlib.sha256(model(SIZE)).hexdigest()
_READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'


async def _verified(commands: Commands, expected: Artifact | None = None) -> Ended:
    ended = await (await commands.start("verify", expected=expected)).ended()
    assert "Traceback" not in ended.log
    return ended


def _damaged(ended: Ended, says: str) -> None:
    assert ended.code == 1
    assert says in ended.outcome.message
    assert (ended.outcome.reason, ended.outcome.retryable) == (Reason.PULL_FAILED, False)


async def test_a_sound_cache(commands: Commands) -> None:
    """Its outcome is the artifact with its digests."""
    pulled = (await commands.pull()).outcome.artifact
    ended = await _verified(commands)
    assert (ended.code, ended.outcome.artifact) == (0, pulled)
    assert ended.outcome.artifact is not None
    assert ended.outcome.artifact.files[0].sha256 == SHA256


async def test_a_cache_that_holds_nothing(commands: Commands) -> None:
    """It is not sound."""
    _damaged(await _verified(commands), "holds nothing that could be verified")


async def test_damage_is_set_apart(commands: Commands) -> None:
    """The message names the file; the next pull fetches it."""
    await commands.pull()
    (commands.folder / "model.gguf").write_bytes(bytes(SIZE))
    _damaged(await _verified(commands), "model.gguf (its sha256 is ")
    assert (commands.root / f"{commands.key}.quarantine" / "model.gguf").exists()
    assert not (await commands.resolve()).outcome.cached
    assert (await commands.pull()).outcome.downloaded_bytes == SIZE
    assert (await _verified(commands)).code == 0


async def test_damage_on_a_volume_that_is_read_only(commands: Commands) -> None:
    """It is only told."""
    await commands.pull()
    (commands.folder / "model.gguf").write_bytes(bytes(SIZE))
    unshare = ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-Urm")
    commands.prefix = (*unshare, "sh", "-c", _READ_ONLY, str(commands.root))
    _damaged(await _verified(commands), "nothing was set apart")
    assert (commands.folder / "model.gguf").exists()


async def test_files_in_place(commands: Commands, tmp_path: Path) -> None:
    """They are hashed on demand; what changed since is told, and never touched."""
    file = commands.root / "mine.gguf"
    file.write_bytes(model(SIZE))
    commands.source = Source(claim=ClaimSource(claim="mine", path=file.name))
    ended = await _verified(commands)
    artifact = ended.outcome.artifact
    assert artifact is not None, ended.log
    assert (artifact.digest, artifact.files[0].sha256) == (f"sha256:{SHA256}", SHA256)
    assert (await _verified(commands, artifact)).code == 0
    file.write_bytes(model(SIZE, seed=2))
    _damaged(await _verified(commands, artifact), "is not what it was: mine.gguf changed")
    assert sorted(path.name for path in commands.root.iterdir()) == [file.name]
