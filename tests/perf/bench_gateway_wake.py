"""From zero to the first token through the gateway, by stage; and what the way costs when warm.

    python -m tests.perf gateway_wake [--quick] [--rounds 20]

    request → pod created → scheduled → container started → runnerd listening → engine healthy
            → warmed → first byte of the answer → first token

Needs the real cluster. Points inside the pod are runnerd's own clock readings, those of the pod are
told by a watch; all clocks are this machine's when the cluster is the embedded one. Between the
wakes the same engine is started by hand and asked the same: the difference is what all the rest
adds. Then, warm: the same stream through the gateway, through the runner's Service, and from the
engine itself, in turn. Nothing is asserted.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from modelrunner_protocol.runner import STATUS_PATH
from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.perf.caller import Caller, tcp, unix
from tests.perf.engine_by_hand import engine_by_hand
from tests.perf.figures import quantile, table
from tests.perf.first_token import read_first_token
from tests.perf.options import USUAL, Options
from tests.support import manifests
from tests.support.gateway import gateway_client, gateway_url
from tests.support.stack import Stack, bring_up, condition

_CHAT: Final = "/v1/chat/completions"
_RUNS: Final = 20
_WARM_STREAMS: Final = 200
_AIM_SECONDS: Final = 0.8
_AIM_ADDED: Final = 1e-3
_STAGES: Final = (
    "pod created",
    "pod scheduled",
    "container started",
    "runnerd listening",
    "engine healthy",
    "warmed",
    "first byte",
    "first token",
)
_NAME: Final = "wake"


@dataclass
class Wake:
    """When each stage was reached, in seconds since the request was sent."""

    begin: float
    at: dict[str, float] = field(default_factory=dict)

    def reach(self, stage: str, when: float | None = None) -> None:
        """Note a stage, the first time it is seen."""
        self.at.setdefault(stage, (when or time.time()) - self.begin)


def main(options: Options = USUAL) -> None:
    """Measure and print."""
    count = options.rounds or options.pick(_RUNS, 3)
    with bring_up(Progress()) as stack:
        namespace = f"bench-{stack.run_id}"
        stack.apply(manifests.namespace(namespace), manifests.runner(namespace))
        try:
            body = manifests.model(namespace, _NAME, stack.http_source(), keepAlive="-1")
            stack.apply(body)
            stack.wait_for(namespace, _NAME, ready=True)
            wakes, alone = [], []
            with gateway_client(stack) as client:
                for number in range(count):
                    with stack.progress.during(f"wake {number + 1} of {count}"):
                        wakes.append(_wake(stack, namespace, client))
                        alone.append(_engine_alone(namespace))
            with stack.progress.during("warm, by three ways"):
                ways = _warm(stack, namespace, options.pick(_WARM_STREAMS, 30))
        finally:
            stack.delete("namespaces", "", namespace)
    _show_wakes(wakes, alone)
    _show_ways(ways)


def _chat(namespace: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Tell me a story. " * 5}]
    model = f"{namespace}/{_NAME}"
    return {"model": model, "messages": messages, "max_tokens": 4, "temperature": 0, "stream": True}


def _wake(stack: Stack, namespace: str, client: httpx.Client) -> Wake:
    _sleep(stack, namespace)
    # The connection is there already, as that of a client that has asked before.
    client.get("/healthz").raise_for_status()
    wake = Wake(time.time())
    with (
        _watched(stack, namespace, wake),
        client.stream("POST", _CHAT, json=_chat(namespace)) as answer,
    ):
        wake.reach("first byte")
        if not answer.is_success:
            answer.read()
            raise ClusterError(f"the wake was answered with {answer.status_code} {answer.text}")
        read_first_token(answer.iter_lines())
        wake.reach("first token")
    stack.wait_for(namespace, _NAME, reason="Ready")
    with stack.client(namespace, _NAME) as runner:
        status = runner.get(STATUS_PATH).json()
    wake.reach("runnerd listening", status["listeningAt"])
    wake.reach("engine healthy", status["engineReadyAt"])
    wake.reach("warmed", status["warmedAt"])
    return wake


def _sleep(stack: Stack, namespace: str) -> None:
    stack.kubectl("scale", "-n", namespace, f"deployment/{_NAME}", "--replicas=0")
    stack.wait_for(namespace, _NAME, reason="ScaledToZero")
    selector = f"modelrunner.dev/model={_NAME}"
    stack.wait("no pods", lambda: not stack.objects("pods", namespace, selector))


@contextmanager
def _watched(stack: Stack, namespace: str, wake: Wake) -> Iterator[None]:
    """Note what happens to the model's pod: one watch, which costs less than asking often."""
    path = stack.api.path("v1", "Pod", namespace)
    listed = stack.api.request("GET", path)
    query = {
        "watch": "true",
        "resourceVersion": listed["metadata"]["resourceVersion"],
        "labelSelector": f"modelrunner.dev/model={_NAME}",
        "timeoutSeconds": "120",
    }
    with stack.api.http.stream("GET", path, params=query) as stream:
        thread = threading.Thread(target=_follow, args=(stream, wake), daemon=True)
        thread.start()
        yield
        thread.join(10)


def _follow(stream: httpx.Response, wake: Wake) -> None:
    for line in stream.iter_lines():
        pod = json.loads(line)["object"]
        wake.reach("pod created")
        if "nodeName" in pod["spec"]:
            wake.reach("pod scheduled")
        for one in pod["status"].get("containerStatuses", []):
            if "running" in one["state"]:
                wake.reach("container started")
        if condition(pod, "Ready").get("status") == "True":
            return


def _engine_alone(namespace: str) -> float:
    """Seconds from the start of llama-server by hand to the first token of the same request."""
    with engine_by_hand() as (client, begin):
        with client.stream("POST", _CHAT, json=_chat(namespace)) as answer:
            read_first_token(answer.iter_lines())
        return time.monotonic() - begin


def _warm(stack: Stack, namespace: str, count: int) -> dict[str, Caller]:
    gateway = urlsplit(gateway_url(stack.provider, stack.api))
    (pod,) = stack.runner_pods(namespace, _NAME)
    socket = engine_socket(pod["metadata"]["uid"])
    with stack.address(namespace, _NAME) as address:
        runner = urlsplit(address)
        ways = {
            "engine itself": Caller.of(partial(unix, socket)),
            "through the runner": Caller.of(partial(tcp, runner.port or 80, str(runner.hostname))),
            "through the gateway": Caller.of(
                partial(tcp, gateway.port or 80, str(gateway.hostname))
            ),
        }
        body = _chat(namespace)
        for number in range(count + 5):
            for way in ways.values():
                way.stream(body, stamped=False)
                if number < 5:
                    way.first.clear()
    return ways


def engine_socket(pod: str, proc: Path = Path("/proc")) -> Path:
    """The socket of a pod's llama-server, seen from this machine.

    Raises:
        ClusterError: no process of that pod is seen here: the node is another machine.
    """
    marks = (pod, pod.replace("-", "_"))
    for entry in proc.glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text("utf-8", "replace").split("\0")
            group = (entry / "cgroup").read_text("utf-8", "replace")
        except OSError:
            continue
        sockets = [word for word in words if word.endswith(".sock")]
        if sockets and any(mark in group for mark in marks):
            return entry / "root" / sockets[0].lstrip("/")
    raise ClusterError("the engine's process is not seen here: the embedded cluster is needed")


def _show_wakes(wakes: list[Wake], alone: list[float]) -> None:
    print(f"\nWake from zero, {len(wakes)} runs (seconds since the request was sent)")
    rows = [("stage", "p50", "p95", "min", "max")]
    rows += [(stage, *_points([wake.at[stage] for wake in wakes])) for stage in _STAGES]
    beyond = [wake.at["first token"] - own for wake, own in zip(wakes, alone, strict=True)]
    rows.append(("engine by hand, first token", *_points(alone)))
    rows.append(("all that is not the engine", *_points(beyond)))
    print(table(rows))
    middle = quantile(beyond, 0.5)
    verdict = "met" if middle <= _AIM_SECONDS else "NOT met"
    print(f"  beyond the engine's own load: {middle:.2f} s, aim p50 ≤ {_AIM_SECONDS} s: {verdict}")


def _points(values: list[float]) -> tuple[str, str, str, str]:
    points = (quantile(values, 0.5), quantile(values, 0.95), min(values), max(values))
    first, second, third, fourth = (f"{value:.3f}" for value in points)
    return first, second, third, fourth


def _show_ways(ways: dict[str, Caller]) -> None:
    direct, *_, through = ways.values()
    print(f"\nTime to first token, warm, {len(direct.first)} streams each in turn (milliseconds)")
    rows = [("way", "p50", "p95", "added p50")]
    for name, way in ways.items():
        added = quantile(way.first, 0.5) - quantile(direct.first, 0.5)
        p50, p95 = (f"{quantile(way.first, point) * 1e3:.2f}" for point in (0.5, 0.95))
        rows.append((name, p50, p95, "" if way is direct else f"{added * 1e3:+.2f}"))
    print(table(rows))
    added = quantile(through.first, 0.5) - quantile(direct.first, 0.5)
    verdict = "met" if added <= _AIM_ADDED else "NOT met"
    print(f"  added on the whole way: {added * 1e3:.2f} ms, aim ≤ 1 ms at p50: {verdict}")


if __name__ == "__main__":
    main()
