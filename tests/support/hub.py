"""A Hugging Face Hub on the loopback, faithful in what a download needs.

The real one cannot be run here: its server is not public. This one answers what the real client
library and the pull engine ask, as the public Hub does: the listing of a revision with the sizes
and LFS digests of its files, errors by `X-Error-Code`, and files by a redirect to another host
with an address that is signed for a while (huggingface_hub's own tests and source are the source).
"""

import asyncio
import hashlib
import secrets
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from tests.support.file_server import FileServer
from tests.support.web_apps import listening

_START_SECONDS: Final = 120


@dataclass
class Repository:
    """Its files by revision; `token` is what its readers have to show, "" for a public one."""

    commits: dict[str, Mapping[str, bytes]]
    branches: dict[str, str]
    token: str = ""
    gated: bool = False


@dataclass
class Hub:
    """Repositories by name. `store` holds the bytes; `asked` are paths with who asked."""

    store: FileServer
    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    broken: int = 0
    url: str = ""

    def put(self, name: str, files: Mapping[str, bytes], **more: Any) -> str:
        """A new commit on the main branch of a repository; the commit's name."""
        commit = hashlib.sha1(repr(sorted(files)).encode() + secrets.token_bytes(4)).hexdigest()
        repository = self.repositories.setdefault(name, Repository({}, {}, **more))
        repository.commits[commit] = dict(files)
        repository.branches["main"] = commit
        return commit

    @asynccontextmanager
    async def running(self, host: str = "127.0.0.1") -> AsyncIterator["Hub"]:
        """Serve while the block runs."""
        app = web.Application()
        app.router.add_get("/api/models/{owner}/{name}/revision/{revision}", self._listing)
        app.router.add_get("/{owner}/{name}/resolve/{revision}/{path:.+}", self._resolve)
        async with listening(app, host) as port:
            self.url = f"http://{host}:{port}"
            yield self

    def _found(self, request: web.Request) -> tuple[Repository, str]:
        self.asked.append((request.path, request.headers.get("Authorization", "")))
        if self.broken:
            self.broken -= 1
            raise web.HTTPServiceUnavailable
        name = "{owner}/{name}".format(**request.match_info)
        repository = self.repositories.get(name)
        mine = repository is not None and self._may(request, repository)
        if repository is None or not (mine or repository.gated):
            known = request.headers.get("Authorization", "") != ""
            error = web.HTTPNotFound if known else web.HTTPUnauthorized
            raise error(headers={"X-Error-Code": "RepoNotFound"})
        if not mine and "resolve" in request.path:
            raise web.HTTPForbidden(headers={"X-Error-Code": "GatedRepo"})
        revision = request.match_info["revision"]
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            raise web.HTTPNotFound(headers={"X-Error-Code": "RevisionNotFound"})
        return repository, commit

    @staticmethod
    def _may(request: web.Request, repository: Repository) -> bool:
        given = request.headers.get("Authorization", "")
        return not repository.token or given == f"Bearer {repository.token}"

    async def _listing(self, request: web.Request) -> web.Response:
        repository, commit = self._found(request)
        name = "{owner}/{name}".format(**request.match_info)
        siblings = [
            {"rfilename": path, "size": len(data), "blobId": "0" * 40, **_lfs(path, data)}
            for path, data in sorted(repository.commits[commit].items())
        ]
        told = {"_id": "0", "id": name, "modelId": name, "sha": commit, "siblings": siblings}
        return web.json_response(told | {"private": bool(repository.token), "tags": []})

    async def _resolve(self, request: web.Request) -> web.Response:
        repository, commit = self._found(request)
        path = request.match_info["path"]
        data = repository.commits[commit].get(path)
        if data is None:
            raise web.HTTPNotFound(headers={"X-Error-Code": "EntryNotFound"})
        signed = f"/blobs/{hashlib.sha256(data).hexdigest()}"
        self.store.files[signed] = data
        target = self.store.url(signed) + f"?signature={secrets.token_hex(8)}"
        raise web.HTTPFound(target, headers={"X-Repo-Commit": commit})


def _lfs(path: str, data: bytes) -> dict[str, Any]:
    """Large kinds of files are kept by LFS, the others in git itself."""
    if not path.endswith((".gguf", ".safetensors")):
        return {}
    digest = hashlib.sha256(data).hexdigest()
    return {"lfs": {"sha256": digest, "size": len(data), "pointerSize": 134}}


@contextmanager
def hub_for_pods(host: str) -> Iterator[Hub]:
    """A Hub in a thread of its own, on an address that pods reach."""
    loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    hub = Hub(FileServer())

    async def serve() -> None:
        async with hub.store.running(host), hub.running(host):
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    try:
        if not ready.wait(_START_SECONDS):
            raise RuntimeError(f"the Hub did not start on {host}")
        yield hub
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
