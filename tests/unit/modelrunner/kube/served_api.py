"""A server of the test's own in the place of an API server, and a client of it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from modelrunner.kube.client import KubeClient

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def kubeconfig(folder: Path, server: str, token: str = "secret") -> Path:
    """A kubeconfig for a plain HTTP server."""
    file = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": token}}],
    }
    file.write_text(yaml.safe_dump(config), "utf-8")
    return file


@asynccontextmanager
async def talking(folder: Path, handler: Handler, **settings: Any) -> AsyncIterator[KubeClient]:
    """A client of a server that answers every request by `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as server:
        file = kubeconfig(folder, str(server.make_url("")).rstrip("/"))
        async with await KubeClient.connected(kubeconfig=str(file), **settings) as client:
            yield client
