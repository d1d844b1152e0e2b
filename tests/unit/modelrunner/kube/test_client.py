"""The client against a server that misbehaves: every answer becomes data or a typed error."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from modelrunner.kube.client import KubeClient
from modelrunner.kube.connection import ConnectionSettingsError, connect
from modelrunner.kube.errors import Gone, Invalid, KubeError, Unavailable
from modelrunner.kube.resources import DEPLOYMENTS, MODELS, PODS
from tests.unit.modelrunner.kube.served_api import kubeconfig, talking


async def test_requests_carry_credentials_and_say_who_asks(tmp_path: Path) -> None:
    """The token, the user agent and what kind of answer is wanted."""
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request)
        return web.json_response({"kind": "Pod"})

    async with talking(tmp_path, handler) as client:
        assert await client.get(PODS, "ns", "p") == {"kind": "Pod"}
    assert seen[0].path == "/api/v1/namespaces/ns/pods/p"
    assert seen[0].headers["Authorization"] == "Bearer secret"
    assert seen[0].headers["User-Agent"].startswith("model-runner-operator")
    assert seen[0].headers["Accept"] == "application/json"


async def test_the_environment_does_not_redirect_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy is for the world outside; a .netrc neither is read nor lends its password."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password hidden\n", "utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    seen: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.json_response({"kind": "Pod"})

    async with talking(tmp_path, handler) as client:
        assert await client.get(PODS, "ns", "p") == {"kind": "Pod"}
    assert seen == ["Bearer secret"]


async def test_pages_are_put_together(tmp_path: Path) -> None:
    """Three pages are one list; items get the kind that lists leave out."""
    queries: list[dict[str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        queries.append(dict(request.query))
        number = int(request.query.get("continue", "0"))
        more = {"continue": str(number + 1)} if number < 2 else {}
        return web.json_response(
            {
                "metadata": {"resourceVersion": "7", **more},
                "items": [{"metadata": {"name": f"p{number}"}}],
            }
        )

    async with talking(tmp_path, handler) as client:
        found = await client.snapshot(PODS, "ns", label_selector="a=b", limit=1)
    assert [item["metadata"]["name"] for item in found.items] == ["p0", "p1", "p2"]
    assert {(item["apiVersion"], item["kind"]) for item in found.items} == {("v1", "Pod")}
    assert found.resource_version == "7"
    assert queries[2] == {"labelSelector": "a=b", "limit": "1", "continue": "2"}


async def test_an_expired_page_starts_the_list_again_as_a_whole(tmp_path: Path) -> None:
    """A list slower than etcd's memory still ends, and without doubles."""
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.query_string)
        if "continue" in request.query:
            return web.json_response({"reason": "Expired", "message": "too old"}, status=410)
        more = {"continue": "x"} if "limit" in request.query else {}
        return web.json_response({"metadata": more, "items": [{"metadata": {"name": "p"}}]})

    async with talking(tmp_path, handler) as client:
        assert len(await client.list(PODS, limit=1)) == 1
    assert asked == ["limit=1", "limit=1&continue=x", ""]


async def test_an_endless_410_is_raised(tmp_path: Path) -> None:
    """A server that always says so is not asked for ever."""

    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"reason": "Expired"}, status=410)

    async with talking(tmp_path, handler) as client:
        with pytest.raises(Gone):
            await client.list(PODS)


async def test_too_many_requests_say_when_to_come_back(tmp_path: Path) -> None:
    """Retry-After reaches the work queue."""

    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"message": "slow down"}, status=429, headers={"Retry-After": "4"})

    async with talking(tmp_path, handler) as client:
        with pytest.raises(Unavailable) as caught:
            await client.get(PODS, "ns", "p")
    assert caught.value.retry_after == 4.0


async def test_a_server_that_does_not_answer_is_unavailable_in_time(tmp_path: Path) -> None:
    """No call waits longer than its timeout."""
    released = asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    async with talking(tmp_path, handler, timeout=0.2) as client:
        with pytest.raises(Unavailable, match="TimeoutError"):
            await client.get(PODS, "ns", "p")
        released.set()


async def test_nobody_listening_is_unavailable(tmp_path: Path) -> None:
    """A connection refused is no traceback."""
    file = kubeconfig(tmp_path, "http://127.0.0.1:1")
    async with await KubeClient.connected(kubeconfig=str(file)) as client:
        with pytest.raises(Unavailable, match="GET /api/v1/namespaces/ns/pods/p"):
            await client.get(PODS, "ns", "p")


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (200, "<html>", Unavailable),
        (200, "[1]", Unavailable),
        (502, "<html>Bad Gateway", Unavailable),
        (418, "teapot", KubeError),
    ],
)
async def test_answers_that_are_not_kubernetes(
    tmp_path: Path, status: int, text: str, expected: type[KubeError]
) -> None:
    """A proxy's page in between is told as what it is."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text)

    async with talking(tmp_path, handler) as client:
        with pytest.raises(expected):
            await client.get(PODS, "ns", "p")


async def test_an_endless_answer_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong server cannot fill our memory."""
    monkeypatch.setattr("modelrunner.kube.transport._LARGEST_ANSWER", 1000)

    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"x": "y" * 5000})

    async with talking(tmp_path, handler) as client:
        with pytest.raises(Invalid, match="TooLarge"):
            await client.get(PODS, "ns", "p")


async def test_a_status_patch_holds_only_what_differs(tmp_path: Path) -> None:
    """Removed fields are nulled, equal ones left out, the version guards."""
    bodies: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        bodies.append((request.path, request.content_type, json.loads(await request.read())))
        return web.json_response({})

    async with talking(tmp_path, handler) as client:
        await client.patch_status(
            MODELS, "ns", "m", {"a": 1}, previous={"a": 2, "b": 3}, resource_version="5"
        )
        await client.patch_status(MODELS, "ns", "m", {"a": 1})
    path = "/apis/modelrunner.dev/v1alpha1/namespaces/ns/models/m/status"
    kind = "application/merge-patch+json"
    assert bodies == [
        (path, kind, {"status": {"a": 1, "b": None}, "metadata": {"resourceVersion": "5"}}),
        (path, kind, {"status": {"a": 1}}),
    ]


async def test_a_deletion_names_its_propagation_and_its_preconditions(tmp_path: Path) -> None:
    """And that the object is gone already is no error."""
    bodies: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        bodies.append(json.loads(await request.read()))
        return web.json_response({"reason": "NotFound"}, status=404)

    async with talking(tmp_path, handler) as client:
        await client.delete(PODS, "ns", "p", propagation="Background", uid="u")
    assert bodies[0]["propagationPolicy"] == "Background"
    assert bodies[0]["preconditions"] == {"uid": "u"}


async def test_writes_are_counted_by_verb_and_resource_and_reads_are_not(tmp_path: Path) -> None:
    """The figure that has to be 0 at rest."""
    registry = CollectorRegistry()
    writes = Counter("w", "w", ["verb", "resource"], registry=registry)

    async def handler(_: web.Request) -> web.Response:
        return web.json_response({})

    async with talking(tmp_path, handler, writes=writes) as client:
        await client.get(PODS, "ns", "p")
        await client.list(PODS)
        await client.has(PODS)
        await client.create(PODS, "ns", {}, field_manager="m")
        await client.apply(DEPLOYMENTS, "ns", "d", {}, field_manager="m", force=False)
        await client.apply(DEPLOYMENTS, "ns", "d", {}, field_manager="m")
        await client.json_patch(DEPLOYMENTS, "ns", "d", [], subresource="scale", field_manager="m")
        await client.update(PODS, "ns", "p", {}, field_manager="m")
    counted = {
        (sample.labels["verb"], sample.labels["resource"]): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "w_total"
    }
    assert counted == {
        ("create", "pods"): 1,
        ("apply", "deployments.apps"): 2,
        ("patch", "deployments.apps"): 1,
        ("update", "pods"): 1,
    }


async def test_without_any_configuration_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No stack: a sentence."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConnectionSettingsError, match="no usable cluster configuration"):
        await connect(user_agent="x")


async def test_in_a_pod_the_service_account_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its missing token is told, instead of silently using something else."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    assert not os.environ.get("KUBECONFIG")
    with pytest.raises(ConnectionSettingsError, match="token file"):
        await connect(user_agent="x")


async def test_a_closed_client_sends_nothing_more(tmp_path: Path) -> None:
    """A process that lost its lease is sure that it writes no more: waiting calls end, too."""
    arrived, released = asyncio.Event(), asyncio.Event()
    paths: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        arrived.set()
        await released.wait()
        return web.json_response({})

    async with talking(tmp_path, handler) as client:
        waiting = asyncio.create_task(client.get(PODS, "ns", "waiting"))
        await arrived.wait()
        await client.close()
        with pytest.raises(Unavailable):
            await asyncio.wait_for(waiting, 60)
        with pytest.raises(Unavailable, match="closed"):
            await client.create(PODS, "ns", {}, field_manager="m")
        released.set()
    assert paths == ["/api/v1/namespaces/ns/pods/waiting"]


async def test_a_client_that_was_never_used_is_closed_too(tmp_path: Path) -> None:
    """The library would open its first connection even then."""
    client = await KubeClient.connected(kubeconfig=str(kubeconfig(tmp_path, "http://127.0.0.1:1")))
    await client.close()
    with pytest.raises(Unavailable, match="closed"):
        await client.get(PODS, "ns", "p")
