"""A real S3 server on this machine (versitygw), whose objects are files of a folder."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from obstore.store import S3Store

from modelrunner_protocol.wire import Credentials
from tests.cluster.waiting import wait_until
from tests.support.go_tools import Tool, ensure
from tests.support.ports import free_port

KEY_ID: Final = "reader"
KEY: Final = "loopback-key"
REGION: Final = "eu-south-2"


@dataclass(frozen=True)
class S3Server:
    """A store at `url` over plain http, in one region and with one user.

    Attributes:
        folder: A folder in it is a bucket, a file there an object.
        log: What it was asked for, a line each.
    """

    url: str
    folder: Path
    log: Path

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Upload an object; the bucket is made."""
        (self.folder / bucket).mkdir(exist_ok=True)
        store = S3Store(
            bucket,
            endpoint=self.url,
            region=REGION,
            access_key_id=KEY_ID,
            secret_access_key=KEY,
            client_options={"allow_http": True},
        )
        store.put(key, data)


@contextmanager
def running_s3(folder: Path, host: str = "127.0.0.1") -> Iterator[S3Server]:
    """A store for the block, at an address of this machine."""
    address = f"{host}:{free_port(host)}"
    data, notes, users = folder / "buckets", folder / "notes", folder / "users"
    for one in (data, notes, users):
        one.mkdir()
    log = folder / "s3.log"
    program = str(ensure(Tool.VERSITYGW))
    command = [program, "--port", address, "--region", REGION, "--health", "/health"]
    environment = {**os.environ, "ROOT_ACCESS_KEY_ID": KEY_ID, "ROOT_SECRET_ACCESS_KEY": KEY}
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            [*command, "--iam-dir", str(users), "posix", "--sidecar", str(notes), str(data)],
            env=environment,
            stdout=sink,
            stderr=sink,
        ) as process,
    ):
        try:
            wait_until("the S3 server answers", lambda: _answers(process, address), seconds=120)
            yield S3Server(f"http://{address}", data, log)
        except BaseException as error:
            error.add_note(log.read_text(errors="replace")[-2000:])
            raise
        finally:
            process.kill()


def keys(folder: Path, key_id: str = KEY_ID, key: str = KEY, **more: str) -> Credentials:
    """A mounted Secret `bucket` with these keys."""
    folder.mkdir(exist_ok=True)
    files = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": key, **more}
    for name, text in files.items():
        (folder / name).write_text(text)
    return Credentials(secret="bucket", folder=str(folder))


def _answers(process: "subprocess.Popen[bytes]", address: str) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"the S3 server ended with status {process.returncode}")
    try:
        httpx.get(f"http://{address}/health", trust_env=False, timeout=60)
    except httpx.TransportError:
        return False
    return True
