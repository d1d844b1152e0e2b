"""A Hub that answers otherwise than a Hub does."""

import json
from typing import Any

import pytest

from modelrunner_protocol.wire import HuggingFaceSource
from runnerd.weights.failure import WeightsError
from runnerd.weights.huggingface.hub import ENDPOINT, Hub, Snapshot
from tests.support.file_server import Fault, FileServer

COMMIT = "a" * 40
DIGEST = "0f" * 32
PATH = "/api/models/a/b/revision/main"


def _pointer(sha256: str) -> dict[str, Any]:
    return {"sha256": sha256, "size": 7, "pointerSize": 130}


def _file(**other: Any) -> dict[str, Any]:
    return {"rfilename": "m.gguf", "size": 7, "lfs": _pointer(DIGEST), **other}


def _told(file: Any, **other: Any) -> dict[str, Any]:
    return {"id": "a/b", "modelId": "a/b", "sha": COMMIT, "siblings": [file], **other}


async def _snapshot(told: Any) -> Snapshot:
    async with FileServer({PATH: json.dumps(told).encode()}).running() as server:
        server.always = Fault(headers={"Content-Type": "application/json"})
        hub = Hub(environment={ENDPOINT: server.url("")})
        return await hub.snapshot(HuggingFaceSource(repository="a/b"))


@pytest.mark.parametrize(
    "told",
    [
        [1],
        "x",
        None,
        {},
        _told(1),
        _told(_file(), siblings="x"),
        _told(_file(rfilename=5)),
        _told(_file(size="7")),
        _told(_file(lfs=_pointer("zz"))),
        _told(_file(), sha="../../x"),
        _told(_file(), sha="a/../../x"),
        _told(_file(), sha="main\r\nX: y"),
        _told(_file(), sha=7),
    ],
)
async def test_answers_of_no_hub(told: Any) -> None:
    """One sentence names the variable and the proxy; nothing of it becomes part of a URL."""
    with pytest.raises(WeightsError, match=f"does not answer as a Hub does .*{ENDPOINT}") as caught:
        await _snapshot(told)
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("file", "size", "sha256"),
    [
        (_file(), 7, DIGEST),
        (_file(lfs=None), 7, ""),
        (_file(size=None), 7, DIGEST),
        (_file(lfs=_pointer(DIGEST.upper())), 7, DIGEST),
    ],
)
async def test_what_hubs_tell_of_a_file(file: dict[str, Any], size: int, sha256: str) -> None:
    """Some leave out a size that the file's pointer has, and some write digests in capitals."""
    found = await _snapshot(_told(file))
    assert found.commit == COMMIT
    assert [(one.size, one.sha256) for one in found.files] == [(size, sha256)]
