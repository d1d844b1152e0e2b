"""The two programs of this folder, compiled when they are needed."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests.cluster.commands import run
from tests.cluster.errors import ClusterError
from tests.cluster.settings import cache_folder
from tests.support.archives import publish, workspace

_HERE: Final = Path(__file__).parent
_FLAGS: Final = ("-O2", "-Wall", "-Wextra", "-Werror")


@dataclass(frozen=True)
class Programs:
    """Executables; what they are told is in the first lines of their sources."""

    backend: Path
    generator: Path

    @classmethod
    def ensure(cls) -> Self:
        """Compile them unless these very sources were compiled before.

        Raises:
            ClusterError: there is no C compiler, or it refused.
        """
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            raise ClusterError("no C compiler: install gcc and libc6-dev (on Debian)")
        folder = cache_folder() / "perf" / f"load-{_digest()}"
        if not folder.is_dir():
            with workspace(folder.parent) as space:
                made = Path(space) / "made"
                made.mkdir()
                for name in ("backend", "generator"):
                    run(compiler, *_FLAGS, "-o", made / name, _HERE / f"{name}.c")
                publish(made, folder)
        return cls(folder / "backend", folder / "generator")


def _digest() -> str:
    digest = hashlib.sha256(" ".join(_FLAGS).encode())
    for file in sorted(_HERE.glob("*.[ch]")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
