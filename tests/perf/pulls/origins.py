"""Servers on the loopback that hold one model: files, a Hub, a registry, a bucket."""

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import obstore
from obstore.store import S3Store

from tests.cluster.commands import run
from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.cluster.waiting import wait_until
from tests.perf.peers.side import free_port
from tests.support.distribution import unpacked
from tests.support.gguf_files import beginning
from tests.support.registry_process import running_registry
from tests.support.s3_server import KEY, KEY_ID, REGION, running_s3

NAME: Final = "tiny-Q8_0.gguf"
REPOSITORY: Final = "acme/tiny"
BUCKET: Final = "models"
_COMMIT: Final = "c0ffee" + "0" * 34
_BLOCK: Final = 1024 * 1024

# sendfile: the server's own work is small. Its worker is who we are, as the folders are ours. The Hub's answers are what huggingface_hub needs.
_CONFIGURATION: Final = """\
daemon off;
user root;
worker_processes 1;
error_log stderr crit;
pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
http {{
  log_format sent '$body_bytes_sent';
  access_log {folder}/sent.log sent;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  sendfile on;
  tcp_nopush on;
  sendfile_max_chunk 2m;
  default_type application/octet-stream;
  server {{
    listen 127.0.0.1:{port};
    root {root};
    location /{repository}/resolve/ {{
      add_header X-Repo-Commit {commit};
      rewrite ^/{repository}/resolve/[^/]+/(.+)$ /$1 break;
    }}
    location /api/models/{repository}/revision/ {{
      default_type application/json;
      return 200 '{listing}';
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Model:
    """A file of `size` bytes that passes for a model."""

    file: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class FileHost:
    """nginx with the model at `url`, and as a Hub at `hub`."""

    hub: str
    log: Path

    @property
    def url(self) -> str:
        """Where the model is."""
        return f"{self.hub}/{NAME}"

    def bytes_sent(self) -> int:
        """Bytes of all bodies so far; those of a broken connection up to the server's buffers."""
        return sum(map(int, self.log.read_text("ascii").split()))


def write_model(folder: Path, size: int) -> Model:
    """A model of random weights, each MiB the same: nobody on the way compresses."""
    file, digest, block = folder / NAME, hashlib.sha256(), os.urandom(_BLOCK)
    with file.open("wb") as sink:
        piece = beginning(size)
        left = size
        while left:
            piece = piece[:left]
            sink.write(piece)
            digest.update(piece)
            left -= len(piece)
            piece = block
    return Model(file, size, digest.hexdigest())


@contextmanager
def file_host(folder: Path, model: Model, progress: Progress) -> Iterator[FileHost]:
    """nginx, one worker."""
    found, port = unpacked("nginx", "nginx", progress), free_port()
    home = folder / "nginx"
    home.mkdir()
    lfs = {"sha256": model.sha256, "size": model.size, "pointerSize": 134}
    sibling = {"rfilename": NAME, "size": model.size, "blobId": "0" * 40, "lfs": lfs}
    told = {"_id": "0", "id": REPOSITORY, "modelId": REPOSITORY, "sha": _COMMIT}
    listing = json.dumps(told | {"siblings": [sibling], "private": False, "tags": []})
    configuration = home / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            folder=home,
            port=port,
            root=model.file.parent,
            repository=REPOSITORY,
            commit=_COMMIT,
            listing=listing,
        )
    )
    command = (found.program, "-p", home, "-c", configuration)
    with subprocess.Popen(command, env={**os.environ, **found.environment}) as process:
        try:
            wait_until("nginx", lambda: _listens(process, port), interval=0.05)
            yield FileHost(f"http://127.0.0.1:{port}", home / "sent.log")
        finally:
            process.terminate()


@contextmanager
def registry(folder: Path, model: Model) -> Iterator[str]:
    """The registry of distribution with the model, pushed by `runnerd package`; its reference."""
    home = folder / "registry-home"
    home.mkdir()
    with running_registry(home) as process:
        reference = process.reference(f"{REPOSITORY}:v1")
        words = ("package", model.file, "--push", reference, "--insecure")
        run(sys.executable, "-m", "runnerd", *words, timeout=600)
        yield reference


@contextmanager
def bucket(folder: Path, model: Model) -> Iterator[tuple[str, str]]:
    """A versitygw with the model in its bucket; the server's URL, and a signed one of the model."""
    home = folder / "bucket-home"
    home.mkdir()
    with running_s3(home) as server:
        (server.folder / BUCKET).mkdir()
        store = S3Store(
            BUCKET,
            endpoint=server.url,
            region=REGION,
            access_key_id=KEY_ID,
            secret_access_key=KEY,
            client_options={"allow_http": True, "timeout": timedelta(minutes=10)},
        )
        store.put(NAME, model.file)
        yield server.url, obstore.sign(store, "GET", NAME, timedelta(hours=6))


def _listens(process: "subprocess.Popen[bytes]", port: int) -> bool:
    if process.poll() is not None:
        raise ClusterError(f"nginx ended with status {process.returncode}")
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
