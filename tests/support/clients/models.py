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


@contextmanager
def stocked_registry(
    weights: Path, folder: Path, *, host: str = "127.0.0.1"
) -> Iterator[RegistryProcess]:
    """An open registry for the block.

    `weights` are there twice, as the model that chats and as the one that embeds: two artifacts,
    since their licences differ. The model to be pulled and deleted is a small one of no sense.
    """
    small = folder / "small.gguf"
    small.write_bytes(model(300_000))
    stock = {CHAT_MODEL: weights, EMBEDDING_MODEL: weights, PULLED_MODEL: small}
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
