"""`runnerd import`, `runnerd prune` and what `runnerd verify` tells of files in place."""

import hashlib
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from modelrunner_protocol.codec import decode, encode
from modelrunner_protocol.sources import artifact_key, parse_source
from modelrunner_protocol.wire import HttpSource, Outcome, PullConfig, Source
from tests.support.gguf_files import MODEL, model
from tests.support.tensor_models import model_files

SMOL = parse_source("ai/smollm2")
KEY = artifact_key(SMOL)
NOTHING: dict[str, str] = {}


def _runnerd(
    *arguments: str | Path, stdin: bytes = b"", environment: Mapping[str, str] = NOTHING
) -> tuple[int, str, str]:
    ended = subprocess.run(
        [sys.executable, "-m", "runnerd", *map(str, arguments)],
        env=os.environ | dict(environment),
        input=stdin,
        capture_output=True,
        check=False,
        timeout=180,
    )
    log = ended.stderr.decode()
    assert "Traceback" not in log
    return ended.returncode, ended.stdout.decode(), log


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A model on this machine."""
    path = tmp_path / "file.gguf"
    path.write_bytes(model())
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A cache that is not there yet."""
    return tmp_path / "cache"


def _resolved(root: Path, source: Source = SMOL) -> bool:
    config = PullConfig(source=source, key=artifact_key(source), root=str(root))
    environment = {"RUNNERD_PULL": encode(config), "RUNNERD_RESOLVE_TIMEOUT": "1s"}
    _, answer, _ = _runnerd("resolve", environment=environment)
    return decode(Outcome, answer).cached


def test_a_file_is_imported_once(file: Path, root: Path) -> None:
    """It stays where it is; again it says that it is there."""
    code, answer, _ = _runnerd("import", "ai/smollm2", file, "--root", root)
    assert (code, "(imported)" in answer) == (0, True)
    assert (root / KEY / "model.gguf").read_bytes() == file.read_bytes()
    assert _resolved(root)
    code, answer, _ = _runnerd("import", "ai/smollm2", file, "--root", root, "--json")
    told = json.loads(answer)
    assert (code, told["there"], told["keys"]) == (0, True, [KEY])
    assert told["artifact"]["files"][0]["sha256"] == hashlib.sha256(model()).hexdigest()


def test_a_url_is_found_with_its_sha256_and_without(file: Path, root: Path) -> None:
    """A Model may name the sha256 or not: both are one folder."""
    url, sha256 = "https://host/a/m.gguf", hashlib.sha256(model()).hexdigest()
    code, answer, _ = _runnerd("import", url, file, "--root", root, "--json")
    assert (code, len(json.loads(answer)["keys"])) == (0, 2)
    for given in ("", sha256):
        assert _resolved(root, Source(http=HttpSource(url=url, sha256=given)))
    assert len([path for path in root.iterdir() if path.name.startswith("sha256-")]) == 1


def test_shards_of_a_folder(tmp_path: Path, root: Path) -> None:
    """In their order, under the names that engines know."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for i in range(2):
        part = model(metadata={**MODEL, "split.no": i, "split.count": 2}, seed=i)
        (folder / f"any-0000{i + 1}-of-00002.gguf").write_bytes(part)
    code, answer, log = _runnerd(
        "import", "hf.co/o/n:Q8_0", "--from", folder, "--root", root, "--json"
    )
    assert code == 0, answer + log
    names = [one["path"] for one in json.loads(answer)["artifact"]["files"]]
    assert names == [f"model-0000{i}-of-00002.gguf" for i in (1, 2)]


def test_safetensors(tmp_path: Path, root: Path) -> None:
    """All that an engine reads beside the weights comes along, under its own name."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, content in model_files(shards=2).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "README.md").write_text("hello")
    code, answer, log = _runnerd("import", "hf.co/o/n", "--from", folder, "--root", root, "--json")
    assert code == 0, answer + log
    artifact = json.loads(answer)["artifact"]
    assert artifact["format"] == "safetensors"
    assert "config.json" in {one["path"] for one in artifact["files"]}
    assert "README.md" not in {one["path"] for one in artifact["files"]}
    assert _resolved(root, parse_source("hf.co/o/n"))


def test_a_stream_and_a_model_object(file: Path, tmp_path: Path, root: Path) -> None:
    """From standard input, for the source of a Model as kubectl prints it."""
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"spec": {"source": {"oci": {"reference": "AI/SmolLM2"}}}}))
    code, _, log = _runnerd(
        *("import", "--source-json", path, "-", "--root", root), stdin=file.read_bytes()
    )
    assert code == 0, log
    assert _resolved(root)


def test_moved_files_leave_their_place(file: Path, root: Path) -> None:
    """Without a copy where that is possible; not before they are in the cache."""
    number, wrong = file.stat().st_ino, "0" * 64
    move = ("import", "ai/smollm2", file, "--root", root, "--move")
    assert _runnerd(*move, "--sha256", wrong)[0] == 1
    assert file.exists()
    assert _runnerd(*move)[0] == 0
    assert not file.exists()
    assert (root / KEY / "model.gguf").stat().st_ino == number


@pytest.mark.parametrize(
    ("content", "arguments", "status", "says"),
    [
        (b"", [], 1, "is empty"),
        (b"<html>", [], 1, "HTML"),
        (model()[:1000], [], 1, "GGUF"),
        (model(), ["--sha256", "ab" * 32], 1, "damaged, or another one"),
        (model(), ["--key", "../x"], 1, "not the key"),
        (model(metadata={"general.type": "adapter"}), [], 1, "adapter"),
    ],
)
def test_what_is_refused(
    content: bytes, arguments: list[str], status: int, says: str, file: Path, root: Path
) -> None:
    """In words; nothing is left in the cache, and the file where it was."""
    file.write_bytes(content)
    code, _, log = _runnerd("import", "ai/smollm2", file, "--root", root, *arguments)
    assert code == status
    assert says in log
    assert [path.name for path in root.glob("*") if path.suffix != ".lock"] == []
    assert file.exists()


def test_wrong_calls(file: Path, root: Path) -> None:
    """No source, no file, two streams, a source that is none, a file that is none."""
    for words in ([], ["ai/smollm2"], ["ai/smollm2", "-", file], ["s3://", file]):
        code, _, log = _runnerd("import", *words, "--root", root)
        assert code == 2, log
    code, _, log = _runnerd("import", "ai/smollm2", "/nonexistent.gguf", "--root", root)
    assert (code, "is not a file" in log) == (1, True)
    code, answer, _ = _runnerd("import", "--json", "ai/smollm2", file, "--root", "/proc/x")
    assert code == 1
    assert json.loads(answer)["error"]


def test_help_is_told() -> None:
    """With the exit statuses."""
    for command in ("import", "prune", "verify"):
        code, answer, _ = _runnerd(command, "--help")
        assert (code, "Exit status" in answer) == (0, True)


def test_a_bar_on_a_terminal(file: Path, root: Path) -> None:
    """What takes long is seen to go on; what does not leaves nothing there."""
    reader, writer = pty.openpty()
    ended = subprocess.run(
        [sys.executable, "-m", "runnerd", "import", "ai/smollm2", str(file), "--root", str(root)],
        stdout=subprocess.DEVNULL,
        stderr=writer,
        check=False,
        timeout=180,
    )
    os.close(writer)
    assert ended.returncode == 0
    assert os.read(reader, 100).startswith(b"\r\x1b[2K")
    os.close(reader)


def test_prune_removes_what_nobody_wants(file: Path, root: Path) -> None:
    """Not what is named, nor what is young; shared files go with the last of their keys."""
    for word in ("ai/one", "ai/two", "ai/three"):
        _runnerd("import", word, file, "--root", root)
    one, two = (artifact_key(parse_source(f"ai/{name}")) for name in ("one", "two"))
    old = time.time() - 8 * 24 * 3600
    for key in (one, two):
        os.utime(root / key, (old, old), follow_symlinks=False)
    (root / "0123456789abcdef.partial").mkdir()
    (root / "somebody").mkdir()
    prune = ("prune", "--root", root, "--keep", one)
    code, answer, _ = _runnerd(*prune, "--dry-run")
    assert code == 0
    assert answer.splitlines()[0].startswith(
        f"would go: {two} artifact (ai/two:latest), 0 B, idle 192h"
    )
    assert (root / two).exists()
    code, answer, _ = _runnerd(*prune, "--json")
    assert [(told["name"], told["removed"]) for told in map(json.loads, answer.splitlines())] == [
        (two, True)
    ]
    models = json.dumps({"items": [{"spec": {"source": {"oci": {"reference": "ai/one"}}}}]})
    prune = ("prune", "--root", root, "--keep-models", "-")
    assert _runnerd(*prune, stdin=b"{}")[0] == 2
    code, answer, _ = _runnerd(*prune, "--unused-for", "0s", stdin=models.encode())
    assert code == 0
    left = {path.name for path in root.iterdir() if not path.name.startswith("sha256-")}
    assert left == {one, f"{one}.lock", "somebody"}
    assert (root / one / "model.gguf").exists()
    _runnerd("prune", "--root", root, "--unused-for", "0s")
    assert [path.name for path in root.iterdir()] == ["somebody"]
    assert (_runnerd("prune", "--root", root))[1] == "there is nothing to remove\n"


def test_verify_tells_the_sha256_of_files_in_place(file: Path, tmp_path: Path) -> None:
    """As sha256sum does, below the folder that is named; a folder file by file."""
    sha256 = hashlib.sha256(model()).hexdigest()
    verify = ("verify", "--root", tmp_path)
    assert (_runnerd(*verify, "--path", file.name))[:2] == (0, f"{sha256}  {file.name}\n")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a").write_bytes(b"")
    code, answer, _ = _runnerd(*verify, "--path", "below", "--json")
    assert (code, json.loads(answer)["path"]) == (0, "below/a")
    for path in ("../x", "none", "/etc/passwd"):
        assert (_runnerd(*verify, "--path", path))[0] == 2
