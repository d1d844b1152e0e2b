"""The gateway in the chart: what its values do."""

import re
from typing import Any

import pytest

from modelrunner.config import OperatorSettings
from modelrunner.domain import naming
from modelrunner.environment import ConfigError
from modelrunner.gateway.settings import GatewaySettings
from modelrunner_protocol.wire import PORT
from release.copies import CHART
from release.helm import HelmError, helm
from tests.contract.chart.conftest import (
    container,
    environment,
    of_kind,
    of_part,
    pod_template,
    render,
    the,
)
from tests.support.kubeapi import Object


def gateway(objects: list[Object], kind: str) -> Object:
    """The gateway's only object of a kind."""
    return the(objects, kind, "gateway")


def service(objects: list[Object], suffix: str = "") -> Object:
    """The gateway's Service for clients, or that for "-metrics"."""
    wanted = f"model-runner-operator-gateway{suffix}"
    (found,) = (one for one in of_kind(objects, "Service") if one["metadata"]["name"] == wanted)
    return found


def told(objects: list[Object]) -> GatewaySettings:
    """The gateway's settings as it would read them in its pod."""
    given = environment(objects, "gateway")
    return GatewaySettings.from_environment(given | {"POD_NAMESPACE": "s", "POD_NAME": "p"})


def test_the_gateway_accepts_what_it_is_told() -> None:
    """Every variable of the Deployment is one that the gateway knows, with a value it takes."""
    settings = told(
        render(
            "watchNamespaces={one,two}",
            "gateway.apiKeys.enabled=true",
            "gateway.accessLog=all",
            "gateway.logLevel=DEBUG",
            "gateway.drain.delaySeconds=7",
            "gateway.drain.timeoutSeconds=86400",
            "gateway.env.MODELRUNNER_GATEWAY_MAX_BODY_BYTES=134217728",
            "gateway.env.MODELRUNNER_GATEWAY_IDLE_TIMEOUT=90.5",
            "gateway.env.MODELRUNNER_GATEWAY_ADMIN_HOST=::",
        )
    )
    assert settings.watch_namespaces == ("one", "two")
    assert settings.api_keys
    assert (settings.access_log, settings.log_level) == (1.0, "DEBUG")
    assert (settings.drain_delay, settings.drain_timeout) == (7.0, 86400.0)
    assert (settings.max_body_bytes, settings.idle_timeout) == (134217728, 90.5)
    assert settings.admin_host == "::"


def test_its_defaults_are_those_of_the_process() -> None:
    """An installation that sets nothing runs as the reference of settings says."""
    assert told(render()) == GatewaySettings.from_environment(
        {"POD_NAMESPACE": "s", "POD_NAME": "p"}
    )
    assert told(render("logLevel=WARNING")).log_level == "WARNING"


@pytest.mark.parametrize(
    ("share", "value"), [("off", -1.0), ("errors", 0.0), ("0.25", 0.25), ("1", 1.0), ("0", 0.0)]
)
def test_the_access_log(share: str, value: float) -> None:
    """A word, or a share of the requests; as text or as a number."""
    assert told(render(f"gateway.accessLog={share}")).access_log == value


def test_a_variable_of_the_gateway_is_none_of_the_operators() -> None:
    """Each process refuses what it does not know, so each is told its own."""
    objects = render()
    with pytest.raises(ConfigError, match="no such setting"):
        OperatorSettings.from_environment(environment(objects, "gateway"))


def test_ports_are_those_of_the_process() -> None:
    """Clients reach it at 80 and at Docker Model Runner's port; the admin port is no client's."""
    objects = render()
    settings = told(objects)
    ports = {one["name"]: one["containerPort"] for one in container(objects, "gateway")["ports"]}
    assert ports == {"http": settings.port, "admin": settings.admin_port}
    public = [(one["port"], one["targetPort"]) for one in service(objects)["spec"]["ports"]]
    assert public == [(80, "http"), (12434, "http")]
    metrics = [
        (one["port"], one["targetPort"]) for one in service(objects, "-metrics")["spec"]["ports"]
    ]
    assert metrics == [(8080, "admin")]
    labels = pod_template(objects, "gateway")["metadata"]["labels"]
    for one in (service(objects), service(objects, "-metrics")):
        assert one["spec"]["selector"].items() <= labels.items()
    for probe, path in (
        ("startup", "/healthz"),
        ("liveness", "/healthz"),
        ("readiness", "/readyz"),
    ):
        found = container(objects, "gateway")[f"{probe}Probe"]["httpGet"]
        assert found == {"path": path, "port": "admin"}


@pytest.mark.parametrize(("delay", "timeout"), [(5, 600), (0, 0), (300, 86400)])
def test_the_kubelet_waits_longer_than_the_drain(delay: int, timeout: int) -> None:
    """So the gateway ends by itself, and no answer is cut."""
    objects = render(
        f"gateway.drain.delaySeconds={delay}", f"gateway.drain.timeoutSeconds={timeout}"
    )
    grace = pod_template(objects, "gateway")["spec"]["terminationGracePeriodSeconds"]
    assert grace == delay + timeout + 15


def test_a_rolling_update_takes_no_replica_away() -> None:
    """A new pod is ready before an old one goes."""
    strategy = gateway(render(), "Deployment")["spec"]["strategy"]
    assert strategy == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }


def test_selectors_of_the_two_parts_are_disjoint() -> None:
    """The gateway's Services, budgets and policies never take the operator's pods."""
    objects = render("gateway.networkPolicy.enabled=true")
    operators = pod_template(objects)["metadata"]["labels"]
    gateways = pod_template(objects, "gateway")["metadata"]["labels"]
    for part, own, other in (("gateway", gateways, operators), ("operator", operators, gateways)):
        for one in of_part(objects, part):
            spec = one.get("spec", {})
            selector = spec.get("podSelector") or spec.get("selector")
            if selector and one["kind"] != "CustomResourceDefinition":
                labels = selector.get("matchLabels", selector)
                assert labels.items() <= own.items(), one["kind"]
                assert not labels.items() <= other.items(), one["kind"]


def test_the_service_as_a_load_balancer() -> None:
    """Type, node port and annotations are the administrator's; no node port unless one is set."""
    settings = ("type=LoadBalancer", "nodePort=30080", "annotations.a\\.b/c=d")
    found = service(render(*(f"gateway.service.{one}" for one in settings)))
    assert found["spec"]["type"] == "LoadBalancer"
    assert [one.get("nodePort") for one in found["spec"]["ports"]] == [30080, None]
    assert found["metadata"]["annotations"] == {"a.b/c": "d"}
    plain = service(render())
    assert plain["spec"]["type"] == "ClusterIP"
    assert not any("nodePort" in one for one in plain["spec"]["ports"])


def test_scheduling_values_reach_its_pod_and_not_the_operators() -> None:
    """Each part has its own."""
    objects = render(
        "gateway.nodeSelector.pool=edge",
        "gateway.tolerations[0].operator=Exists",
        "gateway.priorityClassName=high",
        "gateway.affinity.nodeAffinity.x=y",
        "gateway.topologySpreadConstraints[0].topologyKey=rack",
        "gateway.topologySpreadConstraints[0].maxSkew=2",
        "gateway.topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule",
        "gateway.replicas=5",
        "imagePullSecrets[0].name=registry",
    )
    spec = pod_template(objects, "gateway")["spec"]
    assert spec["nodeSelector"] == {"pool": "edge"}
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["priorityClassName"] == "high"
    assert spec["affinity"] == {"nodeAffinity": {"x": "y"}}
    assert [one["topologyKey"] for one in spec["topologySpreadConstraints"]] == ["rack"]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert gateway(objects, "Deployment")["spec"]["replicas"] == 5
    assert "nodeSelector" not in pod_template(objects)["spec"]
    assert the(objects, "Deployment")["spec"]["replicas"] == 2


def test_an_autoscaler_owns_the_number_of_replicas() -> None:
    """A Deployment that says a number too would undo the autoscaler's at each upgrade."""
    objects = render("gateway.autoscaling.enabled=true", "gateway.autoscaling.maxReplicas=7")
    assert "replicas" not in gateway(objects, "Deployment")["spec"]
    spec = gateway(objects, "HorizontalPodAutoscaler")["spec"]
    assert spec["scaleTargetRef"]["name"] == gateway(objects, "Deployment")["metadata"]["name"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 7)


def test_the_ways_in_lead_to_the_service() -> None:
    """Ingress and HTTPRoute take all paths of their hosts to the Service's port 80."""
    objects = render(
        "gateway.ingress.enabled=true",
        "gateway.ingress.hosts={a.example.com,b.example.com}",
        "gateway.ingress.className=nginx",
        "gateway.ingress.tls[0].secretName=tls",
        "gateway.httpRoute.enabled=true",
        "gateway.httpRoute.parentRefs[0].name=public",
        "gateway.httpRoute.hostnames={c.example.com}",
    )
    name = service(objects)["metadata"]["name"]
    ingress = gateway(objects, "Ingress")["spec"]
    backend = {"service": {"name": name, "port": {"name": "http"}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    assert ingress == {
        "ingressClassName": "nginx",
        "tls": [{"secretName": "tls"}],
        "rules": [
            {"host": "a.example.com", "http": {"paths": paths}},
            {"host": "b.example.com", "http": {"paths": paths}},
        ],
    }
    route = gateway(objects, "HTTPRoute")["spec"]
    assert route["parentRefs"] == [{"name": "public"}]
    assert route["hostnames"] == ["c.example.com"]
    (rule,) = route["rules"]
    assert rule["backendRefs"] == [{"name": name, "port": 80}]
    assert rule["timeouts"] == {"request": "0s"}


def test_an_ingress_without_hosts_takes_all() -> None:
    """And leaves the class to the cluster."""
    spec = gateway(render("gateway.ingress.enabled=true"), "Ingress")["spec"]
    assert [one.keys() for one in spec["rules"]] == [{"http"}]
    assert "ingressClassName" not in spec


@pytest.mark.parametrize("namespaces", [(), ("one", "two")])
def test_the_network_policy(namespaces: tuple[str, ...]) -> None:
    """In: clients, and monitoring to the admin port. Out: names, the API server, runners."""
    watched = f"watchNamespaces={{{','.join(namespaces)}}}"
    objects = render("gateway.networkPolicy.enabled=true", watched if namespaces else "replicas=2")
    spec = gateway(objects, "NetworkPolicy")["spec"]
    clients, monitoring = spec["ingress"]
    assert clients == {"ports": [{"port": "http"}]}
    assert monitoring["ports"] == [{"port": "admin"}]
    assert monitoring["from"]
    *_, runners = spec["egress"]
    assert runners["ports"] == [{"port": PORT}]
    (peer,) = runners["to"]
    labels = naming.base_labels(naming.COMPONENT_RUNNER)
    assert peer["podSelector"]["matchLabels"].items() <= labels.items()
    expressions: list[dict[str, Any]] = peer["namespaceSelector"].get("matchExpressions", [])
    assert [tuple(one["values"]) for one in expressions] == ([namespaces] if namespaces else [])


def test_only_api_keys_open_secrets() -> None:
    """One Role, in the release's own namespace, to read; without API keys none."""
    objects = render("gateway.apiKeys.enabled=true", "watchNamespaces={one}")
    holding = [
        (one["kind"], one["metadata"]["namespace"], rule["verbs"])
        for kind in ("ClusterRole", "Role")
        for one in of_kind(objects, kind)
        for rule in one["rules"]
        if "secrets" in rule["resources"]
    ]
    assert holding == [("Role", "model-runner-system", ["get", "list", "watch"])]
    bindings = [
        one["subjects"]
        for one in of_kind(objects, "RoleBinding")
        if one["roleRef"]["name"] == "model-runner-operator-gateway-api-keys"
    ]
    account = gateway(objects, "ServiceAccount")["metadata"]
    assert bindings == [
        [{"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}]
    ]


@pytest.mark.parametrize(
    "accounts",
    [
        ("serviceAccount.name=same", "gateway.serviceAccount.name=same"),
        ("serviceAccount.create=false", "gateway.serviceAccount.create=false"),
    ],
)
def test_the_two_parts_never_share_an_account(accounts: tuple[str, ...]) -> None:
    """The policy goes by the account: with one for both, the operator could not scale."""
    with pytest.raises(HelmError, match="are the same account"):
        render(*accounts)
    assert render(*accounts, "gateway.enabled=false")


def test_its_service_monitor_scrapes_the_admin_port() -> None:
    """Prometheus finds the metrics Service by labels that it has, at a port only it has."""
    settings = ("labels.release=prometheus", "interval=30s", "enabled=true")
    objects = render(*(f"gateway.metrics.serviceMonitor.{setting}" for setting in settings))
    monitor = gateway(objects, "ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    found = [
        one["metadata"]["name"]
        for one in of_kind(objects, "Service")
        if wanted <= one["metadata"]["labels"].items()
        and "admin" in {port["name"] for port in one["spec"]["ports"]}
    ]
    assert found == ["model-runner-operator-gateway-metrics"]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint == {"port": "admin", "path": "/metrics", "interval": "30s"}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("gateway.replica=3", "'replica' not allowed"),
        ("gateway.accessLog=some", "/gateway/accessLog"),
        ("gateway.accessLog=1.5", "/gateway/accessLog"),
        ("gateway.env.GATEWAY_X=1", "invalid propertyName 'GATEWAY_X'"),
        ("gateway.env.MODELRUNNER_GATEWAY_HTTP_PORT=80", "MODELRUNNER_GATEWAY_HTTP_PORT"),
        ("gateway.env.MODELRUNNER_GATEWAY_API_KEYS=true", "MODELRUNNER_GATEWAY_API_KEYS"),
        ("gateway.drain.delaySeconds=5s", "/gateway/drain/delaySeconds"),
        ("gateway.drain.timeoutSeconds=-1", "/gateway/drain/timeoutSeconds"),
        ("gateway.apiKeys.enabled=maybe", "/gateway/apiKeys/enabled"),
        ("gateway.service.type=ExternalName", "/gateway/service/type"),
        ("gateway.service.nodePort=70000", "/gateway/service/nodePort"),
        ("gateway.ingress.hosts={Not A Host}", "/gateway/ingress/hosts/0"),
        ("gateway.ingress.tls[0].secret=x", "'secret' not allowed"),
        ("gateway.httpRoute.enabled=true", "/gateway/httpRoute/parentRefs"),
        ("gateway.httpRoute.requestTimeout=10 s", "/gateway/httpRoute/requestTimeout"),
        ("gateway.autoscaling.minReplicas=0", "/gateway/autoscaling/minReplicas"),
        ("gateway.networkPolicy.clients[0].pods=x", "/gateway/networkPolicy/clients/0"),
        ("gateway.networkPolicy.apiServerPorts={}", "/gateway/networkPolicy/apiServerPorts"),
        ("gateway.podDisruptionBudget.maxUnavailable=half", "/podDisruptionBudget/maxUnavailable"),
        ("gateway.serviceAccount.name=Not_A_Name", "/gateway/serviceAccount/name"),
    ],
)
def test_a_bad_value_is_refused_by_name(setting: str, words: str) -> None:
    """A typo or an impossible value ends before anything reaches the cluster, and is named."""
    with pytest.raises(HelmError, match=r"(?s)values don't meet.*") as refused:
        render(setting)
    assert words in str(refused.value)


def notes(*settings: str) -> str:
    """What Helm prints after an installation."""
    words = [word for setting in settings for word in ("--set", setting)]
    command = ("install", "x", CHART, "--dry-run=client", "--namespace", "system")
    return helm(*command, *words).partition("NOTES:")[2]


def test_the_notes_tell_how_to_talk_to_it() -> None:
    """The way that fits the values, and a warning where something is left open."""
    plain = notes()
    assert "port-forward --namespace system service/x-model-runner-operator-gateway 12434" in plain
    assert "http://x-model-runner-operator-gateway.system.svc/v1" in plain
    assert "gateway.apiKeys.enabled=true asks for keys" in plain
    assert "WARNING" not in plain
    keys = notes("gateway.apiKeys.enabled=true")
    assert "/opt/modelrunner/bin/modelrunner api-key --name my-key" in keys
    assert re.search(r"curl \S+/v1/models --header .Authorization: Bearer", keys)
    assert "WARNING: gateway.admissionPolicy.enabled" in notes(
        "gateway.admissionPolicy.enabled=false"
    )
    assert "WARNING: admissionPolicy.enabled" in notes("admissionPolicy.enabled=false")
    without = notes("gateway.enabled=false")
    assert "service/my-model 8080:80" in without
    assert "x-model-runner-operator-gateway" not in without
