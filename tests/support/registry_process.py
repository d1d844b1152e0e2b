"""A real registry on this machine, open or behind a login, and the files to log in with."""

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from tests.cluster.waiting import wait_until
from tests.support.go_tools import Tool, ensure
from tests.support.ports import free_port

USER: Final = "reader"
PASSWORD: Final = "loopback"
_ANSWERED: Final = re.compile(r'"GET /v2/\S+/(?:blobs|manifests)/\S+ HTTP/1.1" \d+ (\d+)')
_HTPASSWD: Final = f"{USER}:$2b$04$abcdefghijklmnopqrstuuK6Z2t6B12451zvTkgfvZ0Xhp7HHreWm\n"


@dataclass(frozen=True)
class RegistryProcess:
    """A registry at `address` (host:port) over plain http.

    Attributes:
        folder: Its data.
        log: What it was asked for, a line for each answer in the Common Log Format.
    """

    address: str
    folder: Path
    log: Path

    @property
    def bytes_read(self) -> int:
        """Bytes of all bodies that were sent to answer a GET."""
        return sum(map(int, _ANSWERED.findall(self.log.read_text("utf-8", "replace"))))

    def until_read(self, least: int) -> int:
        """`bytes_read`, as soon as it is no less: what has arrived is noted a moment later."""
        wait_until(f"{least} bytes in the log", lambda: self.bytes_read >= least, seconds=120)
        return self.bytes_read

    def reference(self, name: str) -> str:
        """A reference into this registry, for `team/model:v1`."""
        return f"{self.address}/{name}"

    def blob(self, digest: str) -> Path:
        """Where it keeps the bytes of a blob."""
        name = digest.partition(":")[2]
        return self.folder / f"docker/registry/v2/blobs/sha256/{name[:2]}/{name}/data"


@contextmanager
def running_registry(
    folder: Path, *, host: str = "127.0.0.1", auth: dict[str, Any] | None = None
) -> Iterator[RegistryProcess]:
    """A registry for the block; `auth` is that part of its configuration (`basic_auth`)."""
    port = free_port(host)
    data = folder / "registry"
    data.mkdir(exist_ok=True)
    settings = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": os.fspath(data)}},
        "http": {"addr": f"{host}:{port}", "relativeurls": True},
        "auth": auth or {},
    }
    file = folder / "registry.yml"
    file.write_text(json.dumps({key: value for key, value in settings.items() if value}))
    environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
    log = folder / "registry.log"
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            [ensure(Tool.REGISTRY), "serve", file], env=environment, stdout=sink, stderr=sink
        ) as process,
    ):
        try:
            wait_until("the registry answers", lambda: _answers(process, host, port), seconds=120)
            yield RegistryProcess(f"{host}:{port}", data, log)
        except BaseException as error:
            error.add_note(log.read_text(errors="replace")[-2000:])
            raise
        finally:
            process.kill()


def basic_auth(folder: Path) -> dict[str, Any]:
    """Only `USER` with `PASSWORD` may enter."""
    file = folder / "htpasswd"
    file.write_text(_HTPASSWD)
    return {"htpasswd": {"realm": "test", "path": os.fspath(file)}}


def docker_config(folder: Path, registry: str, user: str = USER, password: str = PASSWORD) -> Path:
    """A folder with the `config.json` that a login leaves."""
    folder.mkdir(exist_ok=True)
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {registry: {"auth": auth}}}))
    return folder


def _answers(process: "subprocess.Popen[bytes]", host: str, port: int) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"the registry ended with status {process.returncode}")
    try:
        httpx.get(f"http://{host}:{port}/v2/", trust_env=False, timeout=60)
    except httpx.TransportError:
        return False
    return True
