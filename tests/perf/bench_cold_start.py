"""Cold start by stage on the real cluster, image and weights present.

    apply → pod scheduled → container started → runnerd listening → engine healthy → warmed → Ready

Points inside the pod are runnerd's own clock readings, the others are seen from here by asking
every 10 ms; both clocks are this machine's when the cluster is the embedded one. Between the
runs the same engine is started by hand with the same model, until it has answered the warm-up:
what the cluster and our parts add is the difference.
"""

import statistics
import time
from dataclasses import dataclass, field
from typing import Final

from modelrunner_protocol.runner import STATUS_PATH
from tests.cluster.progress import Progress
from tests.cluster.waiting import wait_until
from tests.perf.engine_by_hand import engine_by_hand
from tests.perf.options import USUAL, Options
from tests.support import manifests
from tests.support.stack import Stack, bring_up, condition

_RUNS: Final = 7
_AIM_SECONDS: Final = 1.5
_STAGES: Final = (
    "pod created",
    "pod scheduled",
    "container started",
    "runnerd listening",
    "engine healthy",
    "warmed",
    "pod Ready",
    "Model Ready",
)


@dataclass
class Run:
    """When each stage was reached, in seconds since the Model was applied."""

    begin: float
    at: dict[str, float] = field(default_factory=dict)

    def reach(self, stage: str, when: float | None = None) -> None:
        """Note a stage, the first time it is seen."""
        self.at.setdefault(stage, (when or time.time()) - self.begin)


def main(options: Options = USUAL) -> None:
    """Measure and print."""
    with bring_up(Progress()) as stack:
        namespace = f"bench-{stack.run_id}"
        stack.apply(manifests.namespace(namespace), manifests.runner(namespace))
        try:
            warm_up = _run(stack, namespace, "fill-cache")
            runs, alone = [], []
            for number in range(options.rounds or options.pick(_RUNS, 2)):
                runs.append(_run(stack, namespace, f"cold-{number}"))
                alone.append(_engine_alone())
        finally:
            stack.delete("namespaces", "", namespace)
    _show(runs, alone)
    print(f"first start, weights pulled too: {warm_up.at['Model Ready']:.2f} s")


def _run(stack: Stack, namespace: str, name: str) -> Run:
    body = manifests.model(namespace, name, stack.http_source())
    run = Run(time.time())
    stack.apply(body)
    wait_until(name, lambda: _look(stack, namespace, name, run), seconds=120, interval=0.01)
    _inside(stack, namespace, name, run)
    stack.delete("models", namespace, name, propagation="Foreground")
    stack.wait("it is gone", lambda: stack.get("models", namespace, name) is None)
    return run


def _look(stack: Stack, namespace: str, name: str, run: Run) -> bool:
    pods = stack.runner_pods(namespace, name)
    if not pods:
        return False
    run.reach("pod created")
    pod = pods[0]
    if "nodeName" in pod["spec"]:
        run.reach("pod scheduled")
    for one in pod["status"].get("containerStatuses", []):
        if "running" in one["state"]:
            run.reach("container started")
    if condition(pod, "Ready").get("status") == "True":
        run.reach("pod Ready")
        model = stack.get("models", namespace, name) or {}
        if condition(model, "Ready").get("status") == "True":
            run.reach("Model Ready")
    return "Model Ready" in run.at


def _inside(stack: Stack, namespace: str, name: str, run: Run) -> None:
    with stack.client(namespace, name) as client:
        status = client.get(STATUS_PATH).json()
    run.reach("runnerd listening", status["listeningAt"])
    run.reach("engine healthy", status["engineReadyAt"])
    run.reach("warmed", status["warmedAt"])


def _engine_alone() -> float:
    """Seconds from the start of llama-server by hand to its answer to the warm-up."""
    with engine_by_hand() as (client, begin):
        messages = [{"role": "user", "content": "Hello"}]
        body = {"messages": messages, "max_tokens": 1}
        client.post("/v1/chat/completions", json=body).raise_for_status()
        return time.monotonic() - begin


def _show(runs: list[Run], alone: list[float]) -> None:
    print(f"\nCold start, image and weights present, {len(runs)} runs (seconds since apply)")
    print(f"  {'stage':20} {'p50':>7} {'min':>7} {'max':>7}")
    for stage in _STAGES:
        values = [run.at[stage] for run in runs]
        print(
            f"  {stage:20} {statistics.median(values):7.2f} {min(values):7.2f} {max(values):7.2f}"
        )
    whole = statistics.median(run.at["Model Ready"] for run in runs)
    engine = statistics.median(alone)
    print(f"  the engine started by hand, warm-up answered: {engine:.2f} s")
    print(
        f"  all that is not the engine: {whole - engine:.2f} s (aim ≤ {_AIM_SECONDS} s);"
        f" in the cluster {whole / engine:.1f} times by hand"
    )


if __name__ == "__main__":
    main()
