"""A server with the API of Azure Blob Storage on this machine (Azurite)."""

import base64
import hashlib
import hmac
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import httpx
from obstore.store import AzureStore

from modelrunner_protocol.wire import Credentials
from tests.cluster.waiting import wait_until
from tests.support.clients.installs import node, node_modules
from tests.support.ports import free_port

ACCOUNT: Final = "acme"
KEY: Final = base64.b64encode(b"a key of the loopback").decode()
_PINS: Final = Path(__file__).with_name("azurite")
_VERSION: Final = "2021-12-02"


@dataclass(frozen=True)
class AzureServer:
    """A store at `url`, which ends in the account's name, over plain http."""

    url: str

    def put(self, container: str, name: str, data: bytes) -> None:
        """Upload a blob; the container is made, and is not public."""
        self.make(container)
        store = AzureStore(
            container,
            account_name=ACCOUNT,
            account_key=KEY,
            endpoint=self.url,
            client_options={"allow_http": True},
        )
        store.put(name, data)

    def make(self, container: str, *, public: bool = False) -> None:
        """Make a container, if there is none; everybody may list and read a public one."""
        headers = {"x-ms-version": _VERSION, "x-ms-date": format_datetime(_now(), usegmt=True)}
        if public:
            headers["x-ms-blob-public-access"] = "container"
        lines = "".join(f"{name}:{text}\n" for name, text in sorted(headers.items()))
        signed = f"PUT{chr(10) * 12}{lines}/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{_signature(signed)}"
        answer = httpx.put(
            f"{self.url}/{container}",
            params={"restype": "container"},
            headers=headers,
            trust_env=False,
            timeout=30,
        )
        if answer.status_code != 409:
            answer.raise_for_status()


@contextmanager
def running_azure(folder: Path, host: str = "127.0.0.1") -> Iterator[AzureServer]:
    """A store for the block, at an address of this machine."""
    port = free_port(host)
    log = folder / "azure.log"
    script = node_modules(pins=_PINS) / "azurite" / "dist" / "src" / "blob" / "main.js"
    where = ["--blobHost", host, "--blobPort", str(port), "--location", str(folder)]
    quietly = ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            [str(node()), str(script), *where, *quietly],
            env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"},
            stdout=sink,
            stderr=sink,
        ) as process,
    ):
        url = f"http://{host}:{port}/{ACCOUNT}"
        try:
            wait_until("Azurite answers", lambda: _answers(process, url), seconds=180)
            yield AzureServer(url)
        except BaseException as error:
            error.add_note(log.read_text(errors="replace")[-2000:])
            raise
        finally:
            process.kill()


def keys(folder: Path, **files: str) -> Credentials:
    """A mounted Secret `bucket` with these keys, the account's key if none are named."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, text in (files or {"AZURE_STORAGE_ACCOUNT_KEY": KEY}).items():
        (folder / name).write_text(text)
    return Credentials(secret="bucket", folder=str(folder))


def shared_signature(container: str, *, rights: str = "rl", lasts: float = 3600) -> str:
    """A signature (SAS) with rights to a container, for so many seconds from now on."""
    start, end = (f"{_now() + timedelta(seconds=s):%Y-%m-%dT%H:%M:%SZ}" for s in (-7200, lasts))
    place = f"/blob/{ACCOUNT}/{container}"
    # https://learn.microsoft.com/rest/api/storageservices/create-service-sas
    lines = [rights, start, end, place, "", "", "", _VERSION, "c", *[""] * 7]
    query = {"sv": _VERSION, "sr": "c", "sp": rights, "st": start, "se": end}
    return urlencode(query | {"sig": _signature("\n".join(lines))})


def _signature(text: str) -> str:
    digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def _now() -> datetime:
    return datetime.now(tz=UTC)


def _answers(process: "subprocess.Popen[bytes]", url: str) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"Azurite ended with status {process.returncode}")
    try:
        httpx.get(url, trust_env=False, timeout=60)
    except httpx.TransportError:
        return False
    return True
