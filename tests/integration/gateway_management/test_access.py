"""Who may manage models, and what is told when the API server does not let the gateway."""

from pathlib import Path

import httpx
import pytest

from tests.cluster.control_plane import ControlPlane
from tests.integration.gateway.test_keys import make_key
from tests.integration.gateway.worlds import World
from tests.integration.gateway_management.conftest import Homes
from tests.integration.gateway_management.homes import Home
from tests.support.gateway_process import GatewayProcess
from tests.support.kubeapi import KubeApi
from tests.support.planes import install_kinds

pytestmark = pytest.mark.control_plane

CHANGES = (
    ("POST", "/models/create", {"from": "ai/smollm2"}),
    ("DELETE", "/models/smol", None),
    ("DELETE", "/models/purge", None),
    ("POST", "/models/smol/tag?repo=a&tag=b", None),
    ("POST", "/engines/_configure", {"model": "smol", "keep_alive": "0"}),
    ("POST", "/engines/llama.cpp/_configure", {"model": "smol", "keep_alive": "0"}),
    ("POST", "/engines/unload", {"all": True}),
    ("POST", "/engines/_unload", {"model": "smol"}),
    ("POST", "/api/pull", {"model": "ai/smollm2"}),
    ("POST", "/api/copy", {"source": "smol", "destination": "b"}),
    ("DELETE", "/api/delete", {"model": "smol"}),
)
READS = (
    *("/models", "/models/smol", "/engines/status", "/engines/ps", "/engines/df"),
    *("/engines/_configure", "/engines/_configure?model=smol", "/engines/llama.cpp/_configure"),
)


@pytest.fixture(scope="module")
def reading(homes: Homes) -> Home:
    """A gateway as it is unless somebody sets more; with a Model."""
    found = homes(MODELRUNNER_GATEWAY_MANAGEMENT="false")
    found.by_hand("smol")
    return found


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_off_it_says_how_to_turn_it_on(reading: Home, method: str, path: str, body: object) -> None:
    """403 with the value, whatever is asked; nothing is changed."""
    before = reading.model("smol")["metadata"]["resourceVersion"]
    answer = reading.ask(method, path, json=body)
    assert answer.status_code == 403
    assert "gateway.management.enabled" in answer.text
    kind = "application/json" if path.startswith("/api/") else "text/plain; charset=utf-8"
    assert answer.headers["Content-Type"] == kind
    assert reading.model("smol")["metadata"]["resourceVersion"] == before


@pytest.mark.parametrize("path", READS)
def test_what_is_only_read_is_always_there(reading: Home, path: str) -> None:
    """In Docker Model Runner's shapes."""
    answer = reading.ask("GET", path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.headers["X-Docker-Model-Runner"]


def test_a_key_needs_the_scope_and_its_models(homes: Homes, api: KubeApi) -> None:
    """`infer` alone reads; `manage` changes, within the key's patterns."""
    home = homes(
        "gateway.management.enabled=true",
        "gateway.apiKeys.enabled=true",
        MODELRUNNER_GATEWAY_API_KEYS="true",
    )
    world = World(api, home.namespace, lambda: "")
    here = home.namespace
    keys = {
        "infer": make_key(world, "infer"),
        "manage": make_key(
            world, "manage", "--scopes", "infer,manage", "--models", f"{here}/ours*"
        ),
    }

    def ask(who: str, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {keys[who]}", "X-Modelrunner-Scopes": "manage"}
        return home.ask(method, path, json=body, headers=headers)

    for who in keys:
        home.gateway.wait(who, lambda who=who: ask(who, "GET", "/models").status_code == 200)  # type: ignore[misc]  # mypy does not see the default
    assert home.ask("POST", "/models/create", json={"from": "ai/ours"}).status_code == 401
    for name in ("ours", "theirs"):
        world.model(name, config={})
    home.gateway.wait("both", lambda: len(ask("infer", "GET", "/models").json()) == 2)
    for method, path, body in CHANGES:
        answer = ask("infer", method, path, body)
        assert (answer.status_code, "scope `manage`" in answer.text) == (403, True), path
    assert ask("manage", "DELETE", "/models/theirs?force=true").status_code == 404
    body = {"model": "theirs", "keep_alive": "1m"}
    assert ask("manage", "POST", "/engines/_configure", body).status_code == 404
    assert (
        ask("manage", "POST", "/engines/_configure", {**body, "model": "ours"}).status_code == 202
    )
    assert home.model("ours")["spec"]["keepAlive"] == "1m0s"
    for reference in ("ai/theirs", "ai/more"):
        answer = ask("manage", "POST", "/models/create", {"from": reference})
        assert (answer.status_code, "may not use" in answer.text) == (403, True)
    assert ask("manage", "DELETE", "/models/purge").status_code == 200
    assert ask("manage", "DELETE", "/models/ours?force=true").status_code == 200
    assert [one["metadata"]["name"] for one in home.models()] == ["theirs"]


def test_without_its_role_it_names_the_value(homes: Homes) -> None:
    """Turned on by hand, without the chart's Role."""
    home = homes()
    home.by_hand("smol")
    for method, path, body in (
        ("POST", "/models/create", {"from": "ai/smollm2"}),
        ("DELETE", "/models/smol?force=true", None),
        ("POST", "/models/smol/tag?repo=a&tag=b", None),
        ("POST", "/engines/_configure", {"model": "smol", "keep_alive": "0"}),
    ):
        answer = home.ask(method, path, json=body)
        assert answer.status_code == 403, answer.text
        assert "gateway.management.enabled" in answer.text
    assert len(home.models()) == 1


def test_models_elsewhere_are_read_only(homes: Homes) -> None:
    """A gateway that manages another namespace says which."""
    home = homes(
        "watchNamespaces={HOME,default}",
        "gateway.management.enabled=true",
        "gateway.management.namespace=default",
        MODELRUNNER_WATCH_NAMESPACES="HOME,default",
        MODELRUNNER_GATEWAY_MANAGEMENT_NAMESPACE="default",
    )
    home.by_hand("smol")
    answer = home.ask("DELETE", f"/models/{home.namespace}/smol?force=true")
    assert answer.status_code == 403
    assert "manages the namespace default" in answer.text


def test_the_api_server_is_away(tmp_path: Path) -> None:
    """503 with Retry-After in the client's words; what is only read goes on."""
    with ControlPlane(controllers=False) as plane:
        with KubeApi.connect(plane.kubeconfig) as api:
            install_kinds(api)
            api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "t"}})
            World(api, "t", lambda: "").model("smol")
        settings = {"MODELRUNNER_GATEWAY_MANAGEMENT": "true"}
        with GatewayProcess(plane.kubeconfig, "t", tmp_path / "one", **settings) as gateway:
            gateway.serving()
            plane.stop()
            with httpx.Client(base_url=gateway.url, trust_env=False, timeout=60) as http:
                for method, path, body in CHANGES:
                    if "unload" in path:
                        continue
                    answer = http.request(method, path, json=body)
                    assert answer.status_code == 503, (path, answer.text)
                    assert int(answer.headers["Retry-After"]) >= 1
                    if path.startswith("/api/"):
                        assert "try again" in answer.json()["error"]
                for path in READS:
                    assert http.get(path).status_code == 200


def test_pages_of_allowed_origins(homes: Homes) -> None:
    """OPTIONS is answered, answers carry the headers, errors too; other pages get 403."""
    home = homes(
        MODELRUNNER_GATEWAY_MANAGEMENT="false",
        MODELRUNNER_GATEWAY_ORIGINS="https://chat.example.com,http://localhost:*",
    )
    page = {"Origin": "http://localhost:5173"}
    asked = page | {"Access-Control-Request-Headers": "authorization,content-type"}
    answer = home.ask("OPTIONS", "/v1/chat/completions", headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
    for method, path, status in (
        ("GET", "/v1/models", 200),
        ("POST", "/v1/chat/completions", 400),
        ("GET", "/nothing", 404),
    ):
        answer = home.ask(method, path, headers=page)
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
        assert answer.headers["Vary"] == "Origin"
    answer = home.ask("GET", "/v1/models", headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert home.ask("GET", "/v1/models").status_code == 200
