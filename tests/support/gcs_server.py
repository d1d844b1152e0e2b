"""A Google Cloud Storage server on this machine (fake-gcs-server), which keeps objects in memory."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from modelrunner_protocol.wire import Credentials
from tests.cluster.waiting import wait_until
from tests.support.go_tools import Tool, ensure
from tests.support.ports import free_port

READER = "reader@acme.iam.gserviceaccount.com"


@dataclass(frozen=True)
class GcsServer:
    """A store at `url` over plain http, which lets in everybody.

    Attributes:
        log: What it was asked for, a line each.
    """

    url: str
    log: Path

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Upload an object; the bucket is made."""
        with httpx.Client(base_url=self.url, trust_env=False, timeout=30) as client:
            client.post("/storage/v1/b", json={"name": bucket})
            client.post(
                f"/upload/storage/v1/b/{bucket}/o",
                params={"uploadType": "media", "name": key},
                content=data,
            ).raise_for_status()


@contextmanager
def running_gcs(folder: Path, host: str = "127.0.0.1") -> Iterator[GcsServer]:
    """A store for the block, at an address of this machine."""
    port = free_port(host)
    log = folder / "gcs.log"
    program = str(ensure(Tool.FAKE_GCS))
    where = ["-scheme", "http", "-host", host, "-port", str(port), "-public-host", f"{host}:{port}"]
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            [program, "-backend", "memory", *where], stdout=sink, stderr=sink
        ) as process,
    ):
        url = f"http://{host}:{port}"
        try:
            wait_until("the GCS server answers", lambda: _answers(process, url), seconds=120)
            yield GcsServer(url, log)
        except BaseException as error:
            error.add_note(log.read_text(errors="replace")[-2000:])
            raise
        finally:
            process.kill()


def account(email: str = READER) -> str:
    """A service account's key as Google makes it: JSON."""
    parts = {"type": "service_account", "client_email": email, "private_key_id": "1"}
    return json.dumps(parts | {"private_key": _private_key()})


def keys(folder: Path, text: str = "") -> Credentials:
    """A mounted Secret `bucket` with such a key, or another text in its place."""
    folder.mkdir(exist_ok=True)
    (folder / "service-account.json").write_text(text or account())
    return Credentials(secret="bucket", folder=str(folder))


@cache
def _private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _answers(process: "subprocess.Popen[bytes]", url: str) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"the GCS server ended with status {process.returncode}")
    try:
        httpx.get(f"{url}/_internal/healthcheck", trust_env=False, timeout=60)
    except httpx.TransportError:
        return False
    return True
