"""A registry with the models that the clients' scripts and the guide name."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.clients.expectations import CHAT_MODEL, EMBEDDING_MODEL, PULLED_MODEL
from tests.support.gguf_files import model
from tests.support.registry_process import RegistryProcess, running_registry

_WITHOUT_PROXIES: Final = {
    name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")
}


def usual_stock(weights: Path, folder: Path) -> dict[str, Path]:
    """The models of the guide: one chats, one embeds, one is pulled and deleted.

    The last is a small file of no sense, made in `folder`: it is never run.
    """
    small = folder / "small.gguf"
    small.write_bytes(model(300_000))
    return {CHAT_MODEL: weights, EMBEDDING_MODEL: weights, PULLED_MODEL: small}


@contextmanager
def stocked_registry(
    folder: Path, stock: dict[str, Path], *, host: str = "127.0.0.1"
) -> Iterator[RegistryProcess]:
    """An open registry for the block, with these models' weights.

    Equal weights make two artifacts all the same, since their licences differ.
    """
    with running_registry(folder, host=host) as registry:
        for name, file in stock.items():
            licence = folder / f"{name.rpartition('/')[2]}.txt"
            licence.write_text(f"the licence of {name}", "utf-8")
            _package(file, licence, registry.reference(f"{name}:latest"))
        yield registry


def _package(weights: Path, licence: Path, reference: str) -> None:
    command = [sys.executable, "-m", "runnerd", "package", str(weights)]
    done = subprocess.run(
        [*command, "--license", str(licence), "--push", reference, "--insecure"],
        env=_WITHOUT_PROXIES,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
