"""What the operator costs: at rest, while Models become Ready, and when it starts anew.

    python -m tests.perf operator

A control plane without a node, on which this program plays the kubelet: it writes the statuses of
pods, those of Jobs and Deployments follow from the real controllers. The operator is the real
process with its default settings. Nothing is asserted; the tables are the result.
"""

import secrets
import signal
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import yaml

from tests.cluster.control_plane import ControlPlane
from tests.cluster.progress import Progress
from tests.cluster.waiting import wait_until
from tests.perf.options import USUAL, Options
from tests.support import manifests
from tests.support.hand_kubelet import HandKubelet
from tests.support.kubeapi import KubeApi, Refused
from tests.support.operator_counters import (
    Counters,
    Counts,
    cpu_seconds,
    only_leases,
    operators,
    read_counters,
    read_own,
    resident_mib,
    server_writes,
    without_leases,
)
from tests.support.operators import Operator

ROOT: Final = Path(__file__).resolve().parents[2]
_MANY: Final = 200
_REST_SECONDS: Final = 20.0
_SWEEP_EVERY: Final = 4.0
_DEFAULT_SWEEP_EVERY: Final = 300.0
_AIM_MIB: Final = 150
# The tests' own are shorter.
_DEFAULTS: Final = {
    "MODELRUNNER_LEASE_SECONDS": "15",
    "MODELRUNNER_LEASE_RENEW_SECONDS": "10",
    "MODELRUNNER_LEASE_RETRY_SECONDS": "2",
    "MODELRUNNER_DISCOVERY_SECONDS": "60",
}


@dataclass(frozen=True)
class Rest:
    """A window in which nobody asks for anything; everything scaled to a minute.

    Attributes:
        mib: resident memory at its end.
        cpu: seconds of processor time.
        server: writes of what the operator may write, as the API server counts them.
        others: the controllers' writes of other things: a node is missing.
        leases: writes of leases.
        own: writes as the operator counts them, leases aside.
        reconciles: how many.
    """

    mib: float
    cpu: float
    server: Counts
    others: Counts
    leases: float
    own: float
    reconciles: float

    @classmethod
    def between(cls, before: Counters, after: Counters, mib: float) -> "Rest":
        """What has happened, scaled."""
        scale = 60 / (after.at - before.at)
        server = after.server - before.server
        others = without_leases(server) - operators(server)
        return cls(
            mib=mib,
            cpu=(after.cpu - before.cpu) * scale,
            server=Counter({what: round(n * scale) for what, n in operators(server).items()}),
            others=Counter({what: round(n * scale) for what, n in others.items()}),
            leases=only_leases(server).total() * scale,
            own=without_leases(after.own - before.own).total() * scale,
            reconciles=(after.reconciles - before.reconciles) * scale,
        )


@dataclass(frozen=True)
class Creation:
    """Models from apply until Ready: seconds of each and of all, then what all together took."""

    each: Sequence[float]
    wall: float
    cpu: float
    own: Counts
    server: Counts
    reconciles: float


@dataclass(frozen=True)
class Restart:
    """A new process over Models that are Ready, until it has looked at each of them once."""

    leading: float
    looked: float
    mib: float
    cpu: float
    own: Counts
    server: Counts


@dataclass(frozen=True)
class Sweep:
    """One full list of everything and a look at every Model, out of a window with several."""

    count: float
    cpu: float
    own: float
    server: Counts


@dataclass
class Scene:
    """One control plane, one operator, one namespace."""

    api: KubeApi
    operator: Operator
    namespace: str
    kubelet: HandKubelet
    ready: dict[str, float] = field(default_factory=dict)

    def start(self, **environment: str) -> None:
        """Start the operator and wait until it leads."""
        self.operator.start("operator", module="modelrunner", **_DEFAULTS, **environment)
        self.operator.wait_role("leader")

    def read(self) -> Counters:
        """All counters now."""
        return read_counters(self.api, self.operator)

    def quiet(self) -> None:
        """Wait until for two seconds no key was busy and nothing was written."""
        since: list[tuple[float, Counts]] = []

        def still() -> bool:
            now = read_own(self.operator)
            writes = without_leases(now.own)
            if now.busy or not since or since[0][1] != writes:
                since[:] = [(now.at, writes)]
            return now.at - since[0][0] >= 2

        wait_until("rest", still, interval=0.25)

    def rest(self, seconds: float = _REST_SECONDS) -> tuple[Counters, Counters]:
        """The counters before and after a time in which nothing happens."""
        self.quiet()
        before = self.read()
        # The passing of time is what is measured.
        threading.Event().wait(seconds)
        return before, self.read()

    def at_rest(self) -> Rest:
        """A window of rest, scaled to a minute."""
        return Rest.between(*self.rest(), resident_mib(self.operator.pid))

    def create(self, names: Sequence[str]) -> Creation:
        """Apply Models, each of another source, and play the kubelet until all are Ready."""
        before = self.read()
        applied: dict[str, float] = {}
        for name in names:
            source = {"http": {"url": f"http://files.test/{name}.gguf"}}
            applied[name] = time.monotonic()
            self.api.apply(manifests.model(self.namespace, name, source))
        wait_until("Ready Models", partial(self._turn, names), seconds=180, interval=0.1)
        wall = max(self.ready[name] for name in names) - applied[names[0]]
        self.quiet()
        after = self.read()
        return Creation(
            each=[self.ready[name] - applied[name] for name in names],
            wall=wall,
            cpu=after.cpu - before.cpu,
            own=without_leases(after.own - before.own),
            server=without_leases(after.server - before.server),
            reconciles=after.reconciles - before.reconciles,
        )

    def _turn(self, names: Sequence[str]) -> bool:
        self.kubelet.turn()
        for model in self.api.list(manifests.API_VERSION, "Model", self.namespace):
            if model.get("status", {}).get("phase") == "Ready":
                self.ready.setdefault(model["metadata"]["name"], time.monotonic())
        return all(name in self.ready for name in names)

    def restart(self) -> Restart:
        """End the operator as a rollout does; start another, whose sweeps come more often."""
        self.operator.signal(signal.SIGTERM)
        self.operator.end()
        server, begin = server_writes(self.api), time.monotonic()
        self.start(MODELRUNNER_RESYNC_SECONDS=str(_SWEEP_EVERY))
        leading = time.monotonic() - begin
        own: list[Counters] = []

        def looked() -> bool:
            own[:] = [read_own(self.operator)]
            return own[0].reconciles > len(self.ready) and not own[0].busy

        wait_until("a look at everything", looked, interval=0.1)
        return Restart(
            leading=leading,
            looked=own[0].at - begin,
            mib=resident_mib(self.operator.pid),
            cpu=cpu_seconds(self.operator.pid),
            own=without_leases(own[0].own),
            server=operators(server_writes(self.api) - server),
        )

    def sweeps(self, idle: Rest) -> Sweep:
        """What one sweep costs, `idle` taken off."""
        before, after = self.rest(4 * _SWEEP_EVERY)
        count = (after.reconciles - before.reconciles) / (len(self.ready) + 1)
        cpu = after.cpu - before.cpu - idle.cpu * (after.at - before.at) / 60
        own = without_leases(after.own - before.own).total()
        return Sweep(count, cpu / count, own, operators(after.server - before.server))


def main(options: Options = USUAL) -> None:
    """Measure and print; there is no quick way to do it."""
    del options
    begin = time.monotonic()
    with _scene() as scene:
        scene.start()
        rests = [scene.at_rest()]
        one = scene.create(["m-0"])
        rests.append(scene.at_rest())
        many = scene.create([f"m-{number}" for number in range(1, _MANY)])
        rests.append(scene.at_rest())
        restart = scene.restart()
        sweep = scene.sweeps(rests[-1])
    _show_rest(rests, sweep)
    _show_creation(one, many)
    _show_restart(restart, sweep)
    print(f"\nmeasured in {time.monotonic() - begin:.0f} s")


@contextmanager
def _scene() -> Iterator[Scene]:
    namespace = f"bench-{secrets.token_hex(4)}"
    with (
        tempfile.TemporaryDirectory() as folder,
        ControlPlane(progress=Progress()) as plane,
        KubeApi.connect(plane.kubeconfig) as api,
        Operator(plane.kubeconfig, namespace, Path(folder) / "operator") as operator,
    ):
        for file in sorted((ROOT / "crds").glob("*.yaml")):
            api.apply(yaml.safe_load(file.read_text("utf-8")))
        wait_until("our kinds", partial(_served, api))
        api.create(manifests.namespace(namespace))
        api.apply(manifests.runner(namespace))
        yield Scene(api, operator, namespace, HandKubelet(api, namespace))


def _served(api: KubeApi) -> bool:
    try:
        return all(api.list(manifests.API_VERSION, kind) == [] for kind in ("Model", "ModelRunner"))
    except (Refused, KeyError):
        return False


def _show_rest(rests: Sequence[Rest], sweep: Sweep) -> None:
    print(f"\nAt rest, per minute (windows of {_REST_SECONDS:.0f} s, scaled to a minute)")
    print(f"  {'Models, all Ready':42} {0:>8} {1:>8} {_MANY:>8} {'200:1':>7}  aim")
    rows: list[tuple[str, Callable[[Rest], float], str]] = [
        ("resident memory, MiB", lambda rest: rest.mib, f"≤ {_AIM_MIB}"),
        ("processor time, s", lambda rest: rest.cpu, ""),
        ("writes, as the API server counts them", lambda rest: rest.server.total(), "0"),
        ("writes, as the operator counts them", lambda rest: rest.own, "0"),
        ("writes of leases (API server's count)", lambda rest: rest.leases, ""),
        ("reconciles", lambda rest: rest.reconciles, ""),
    ]
    for name, value, aim in rows:
        found = [value(rest) for rest in rests]
        ratio = f"{found[2] / found[1]:.1f}" if found[1] else "-"
        print(f"  {name:42} {found[0]:8.2f} {found[1]:8.2f} {found[2]:8.2f} {ratio:>7}  {aim}")
    for rest in rests:
        if rest.server:
            print(f"  written: {_list(rest.server)}")
    print(f"  Not the operator's, with {_MANY} Models: {_list(rests[-1].others) or 'nothing'}")
    every = _DEFAULT_SWEEP_EVERY
    added = sweep.cpu * 60 / every
    print(
        f"  No window holds a sweep (one every {every:.0f} s); with {_MANY} Models one takes"
        f" {sweep.cpu:.2f} s of processor time,\n  which adds {added:.2f} s a minute. Leases: the"
        " operator's own (every 2 s) and the API server's."
    )


def _show_creation(one: Creation, many: Creation) -> None:
    print("\nFrom apply to Ready, controllers and the kubelet played by hand included")
    print(f"  {'Models applied at once':42} {len(one.each):>8} {len(many.each):>8} {'ratio':>7}")
    rows: list[tuple[str, Callable[[Creation], float]]] = [
        ("seconds until the last is Ready", lambda made: made.wall),
        ("seconds per Model (all / count)", lambda made: made.wall / len(made.each)),
        ("seconds of one Model, p50", lambda made: statistics.median(made.each)),
        ("operator's processor time per Model, s", lambda made: made.cpu / len(made.each)),
        ("reconciles per Model", lambda made: made.reconciles / len(made.each)),
        ("operator's writes per Model", lambda made: made.own.total() / len(made.each)),
        ("everybody's writes per Model", lambda made: made.server.total() / len(made.each)),
    ]
    for name, value in rows:
        first, second = value(one), value(many)
        print(f"  {name:42} {first:8.2f} {second:8.2f} {second / first:7.2f}")
    print(f"  the operator's writes per Model: {_list(many.own, len(many.each))}")


def _show_restart(restart: Restart, sweep: Sweep) -> None:
    print(f"\nRestart with {_MANY} Models                        aim")
    print(f"  seconds until it leads                  {restart.leading:8.2f}")
    print(f"  seconds until all was looked at once    {restart.looked:8.2f}")
    print(f"  processor time until then, s            {restart.cpu:8.2f}")
    print(f"  resident memory, MiB                    {restart.mib:8.2f}  ≤ {_AIM_MIB}")
    print(f"  writes, as the operator counts them     {restart.own.total():8}  0")
    print(f"  writes, as the API server counts them   {restart.server.total():8}  0")
    print(f"  writes in {sweep.count:.0f} sweeps after that          {sweep.own:8.0f}  0")
    for what in (restart.own, restart.server, sweep.server):
        if what:
            print(f"  written: {_list(what)}")


def _list(counts: Counts, share: int = 1) -> str:
    return ", ".join(
        f"{what} {count / share:.2f}".removesuffix(".00") for what, count in counts.most_common()
    )


if __name__ == "__main__":
    main()
