"""The programs that are compared: ours, curl, aria2c, huggingface_hub."""

import sys
from typing import Final

from tests.cluster.progress import Progress
from tests.perf.pulls.origins import BUCKET, NAME, REPOSITORY, FileHost
from tests.perf.pulls.runs import Client
from tests.support.distribution import unpacked
from tests.support.s3_server import KEY, KEY_ID, REGION

OURS: Final = "runnerd"
CURL: Final = "curl"
ARIA2: Final = "aria2c"
HUB: Final = "huggingface_hub"
CONNECTIONS: Final = 4

_OUR_WORK: Final = "sha256, fsync"
_HUB_PROGRAM: Final = """\
import sys
from huggingface_hub import hf_hub_download
hf_hub_download(sys.argv[1], sys.argv[2], local_dir=sys.argv[3])
"""


def runnerd(source: str, *options: str, environment: dict[str, str] | None = None) -> Client:
    """Our own, over as many connections as it takes by default."""
    words = ("-m", "runnerd", "pull", source, "--json", "--root", "{out}", *options)
    return Client(OURS, (sys.executable, *words), _OUR_WORK, environment or {})


def curl(url: str, progress: Progress, *options: str) -> Client:
    """One stream into a file."""
    found = unpacked("curl", "curl", progress)
    words = ("--silent", "--show-error", "--fail", "--output", f"{{out}}/{NAME}", *options, url)
    return Client(CURL, (found.program, *words), "", found.environment)


def aria2(url: str, progress: Progress) -> Client:
    """As many connections as ours; told to keep from allocating the file's space beforehand."""
    found = unpacked("aria2", "aria2c", progress)
    parallel = (f"--split={CONNECTIONS}", f"--max-connection-per-server={CONNECTIONS}")
    words = ("--quiet", *parallel, "--file-allocation=none", "--dir={out}", f"--out={NAME}", url)
    return Client(ARIA2, (found.program, *words), "", found.environment)


def for_files(host: FileHost, progress: Progress) -> list[Client]:
    """From a web server."""
    return [runnerd(host.url), curl(host.url, progress), aria2(host.url, progress)]


def for_hub(host: FileHost, progress: Progress) -> list[Client]:
    """From a Hub, with all bytes from the same server."""
    environment = {
        "HF_ENDPOINT": host.hub,
        "HF_HOME": "{out}/home",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    theirs = (sys.executable, "-c", _HUB_PROGRAM, REPOSITORY, NAME, "{out}")
    return [
        runnerd(f"hf.co/{REPOSITORY}:Q8_0", environment={"HF_ENDPOINT": host.hub}),
        curl(host.url, progress),
        Client(HUB, theirs, "", environment),
    ]


def for_registry(reference: str, sha256: str, progress: Progress) -> list[Client]:
    """From a registry; the peers are told the blob's name."""
    address = reference.partition("/")[0]
    blob = f"http://{address}/v2/{REPOSITORY}/blobs/sha256:{sha256}"
    return [runnerd(reference, "--insecure"), curl(blob, progress), aria2(blob, progress)]


def for_bucket(url: str, signed: str, progress: Progress) -> list[Client]:
    """From a bucket; the peers are given a URL that is signed already."""
    environment = {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": KEY,
    }
    return [
        runnerd(f"s3://{BUCKET}/{NAME}", "--insecure", environment=environment),
        curl(signed, progress),
        aria2(signed, progress),
    ]
