"""Kubernetes itself on this machine, from nothing but Go and a few packages."""

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.cluster import build as builds
from tests.cluster import control_plane, marker, ownership, packages, prerequisites
from tests.cluster.build import Build
from tests.cluster.commands import run
from tests.cluster.daemons import Daemons
from tests.cluster.errors import ClusterError
from tests.cluster.go_programs import kubernetes_version
from tests.cluster.locks import locked
from tests.cluster.node.lifecycle import Node
from tests.cluster.processes import Processes, memory
from tests.cluster.progress import Progress
from tests.cluster.providers.base import Provider
from tests.cluster.settings import API_PORT, HERE, HOST_ADDRESS, NODE
from tests.cluster.waiting import wait_until

_DAEMONS = ("node", "kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd")
_LOCKED = "the embedded cluster"


@dataclasses.dataclass(frozen=True)
class _State:
    """What `up` leaves behind: which build runs, and whether it came up whole."""

    build: str
    up: bool

    def save(self, file: Path) -> None:
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")
        partial.replace(file)


class EmbeddedCluster(Provider):
    """etcd, API server, controllers and scheduler as processes of this machine, and one node."""

    name = "embedded"
    routes_pods = True
    owns_node = True

    def __init__(self, run_folder: Path) -> None:
        self._run_folder = run_folder
        self._folder = run_folder / "cluster"
        self._failed_log = run_folder / "failed-log"
        self._processes = Processes(self._folder)
        self._node = Node(self._folder, self._processes)

    @property
    def kubeconfig(self) -> Path:
        """In the cluster's folder, which `down` removes."""
        return self._folder / "kubeconfig"

    @property
    def host_address(self) -> str:
        """This machine's end of the link to the node."""
        return HOST_ADDRESS

    @property
    def program_folders(self) -> Sequence[Path]:
        """The build that runs, else the one that would."""
        state = self._state()
        build = Build(Path(state.build)) if state else builds.current()
        return (build.programs,)

    @property
    def exists(self) -> bool:
        """Whether there is anything of it, running or left over."""
        return self._folder.exists() or ownership.ours(self._run_folder)

    def running(self) -> bool:
        """Whether it came up whole and none of its processes ended since."""
        state = self._state()
        return state is not None and state.up and all(map(self._processes.alive, _DAEMONS))

    def up(self, progress: Progress) -> None:
        """Build what is not built, clean up after a crash, start; on failure leave only logs."""
        if self._tell_if_up(progress):
            return
        # In this order: nobody waits for a build to learn that it was in vain.
        prerequisites.check_root()
        ownership.check(self._run_folder)
        packages.ensure(progress)
        if not self.exists:  # else its own routes stand in the way, until it is cleaned up
            prerequisites.check_machine(self._run_folder)
        build = builds.ensure(progress)
        self._run_folder.mkdir(parents=True, exist_ok=True)
        with locked(self._run_folder / "lock", what=_LOCKED, progress=progress):
            if self._tell_if_up(progress):
                return
            if self.exists:
                progress.say("cleaning up after a run that did not end well")
                self._clean()
            shutil.rmtree(self._failed_log, ignore_errors=True)
            prerequisites.check_machine(self._run_folder)
            ownership.claim(self._run_folder)
            try:
                self._start(build, progress)
            except BaseException:
                logs = self._keep_logs()
                progress.say(f"it did not come up; taking it down again, logs stay in {logs}")
                self._clean()
                raise
        progress.say(f"the cluster is up: export KUBECONFIG={self.kubeconfig}")

    def _tell_if_up(self, progress: Progress) -> bool:
        state = self._state()
        if state is None or not self.running():
            return False
        progress.say(f"the cluster is up already: export KUBECONFIG={self.kubeconfig}")
        if Path(state.build) != builds.current().folder:
            progress.say("it runs an older build: take it down and up again to renew it")
        return True

    def _start(self, build: Build, progress: Progress) -> None:
        from tests.cluster.pki import make_pki  # noqa: PLC0415 - needs a package; `down` must not

        self._folder.mkdir(parents=True)
        state = _State(build=str(build.folder), up=False)
        state.save(self._folder / "state.json")
        daemons = self._daemons(build)
        make_pki(daemons.pki, daemons.server, daemons.address)
        shutil.copy2(daemons.pki / "admin.kubeconfig", self.kubeconfig)
        daemons.start_etcd()
        self._node.start(build)  # brings up the address the API server listens on
        daemons.start_apiserver()
        self._node.wait_for_containerd(build)
        for image in build.images:
            self._node.load(build, image)
        progress.say("containerd runs and has its images")
        daemons.wait_until_ready()
        progress.say("API server is ready")
        daemons.start_controller_manager()
        daemons.start_scheduler()
        self._apply(build, progress)
        self._wait(daemons, progress)
        dataclasses.replace(state, up=True).save(self._folder / "state.json")

    def _daemons(self, build: Build) -> Daemons:
        return Daemons(self._folder, build.programs, HOST_ADDRESS, API_PORT, self._processes)

    def _apply(self, build: Build, progress: Progress) -> None:
        kubectl = build.programs / "kubectl"
        manifests = ("-f", HERE / "manifests/cluster.yaml", "-f", marker.MANIFEST)
        run(kubectl, f"--kubeconfig={self.kubeconfig}", "apply", "--server-side", *manifests)
        progress.say("manifests are applied")

    def _wait(self, daemons: Daemons, progress: Progress) -> None:
        def node_ready() -> bool:
            return _condition(daemons.get(f"/api/v1/nodes/{NODE}"), "Ready")

        def dns_ready() -> bool:
            path = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
            return _condition(daemons.get(path), "Available")

        def account_there() -> bool:
            return bool(daemons.get("/api/v1/namespaces/default/serviceaccounts/default"))

        conditions: tuple[tuple[str, Callable[[], bool]], ...] = (
            ("default service account is there", account_there),
            ("node is ready", node_ready),
            ("cluster DNS is ready", dns_ready),
        )
        for what, condition in conditions:

            def holds(condition: Callable[[], bool] = condition) -> bool:
                self._processes.require(*_DAEMONS)
                return condition()

            with progress.during(f"waiting: {what}"):
                wait_until(what, holds, seconds=120, hint=f"Logs: {self._processes.logs}")

    def down(self, progress: Progress) -> None:
        """End the cluster and all control planes but those of a test run that goes on."""
        if not self._run_folder.exists() and not self.exists:
            progress.say("the cluster is down")
            return
        with locked(self._run_folder / "lock", what=_LOCKED, progress=progress):
            if self.exists:
                with progress.during("taking the cluster down"):
                    self._clean()
            used = False
            for plane in control_plane.everything(self._run_folder):
                if plane.owner and plane.owner.alive:
                    used = True
                    progress.say(f"process {plane.owner.pid} uses the control plane {plane.port}")
                else:
                    progress.say(f"taking down the control plane {plane.port}")
                    plane.stop()
            if not used:
                shutil.rmtree(self._run_folder)
        progress.say("the cluster is down")

    def _clean(self) -> None:
        self._processes.stop_all()
        # Not after a reboot, which ended all that the files tell of.
        if ownership.ours(self._run_folder):
            self._node.clean()
            ownership.release(self._run_folder)
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._folder.exists():
            raise ClusterError(f"{self._folder} cannot be removed whole")

    def _keep_logs(self) -> Path:
        with contextlib.suppress(OSError):  # it did not come so far as to log
            self._processes.logs.rename(self._failed_log)
        return self._failed_log

    def load_images(self, archives: Sequence[Path], progress: Progress) -> None:
        """Import them into the node's containerd."""
        state = self._state()
        if state is None or not self.running():
            raise ClusterError("the cluster is down: run `python -m tests.cluster up`")
        for archive in archives:
            size = archive.stat().st_size / 1e6
            with progress.during(f"loading {archive.name} ({size:.0f} MB)"):
                self._node.load(Build(Path(state.build)), archive)

    def cut_off(self) -> contextlib.AbstractContextManager[Callable[[], int]]:
        """See Provider."""
        return self._node.cut_off()

    def reboot_node(self) -> None:
        """See Provider. The control plane runs on, as it would beside another node."""
        state = self._state()
        if state is None or not self.running():
            raise ClusterError("the cluster is down: run `python -m tests.cluster up`")
        build = Build(Path(state.build))
        self._node.reboot(build)
        self._node.wait_for_containerd(build)

    def details(self) -> Sequence[str]:
        """The version and the processes with their resident memory."""
        lines = [f"Kubernetes {kubernetes_version()}, logs in {self._processes.logs}"]
        for name in _DAEMONS:
            identity = self._processes.identity(name)
            alive = identity is not None and identity.alive
            size = f"{memory(identity) / 1e6:.0f} MB" if identity and alive else "not running"
            lines.append(f"{name:24} {size}")
        return lines

    def _state(self) -> _State | None:
        try:
            text = (self._folder / "state.json").read_text(encoding="utf-8")
            return _State(**json.loads(text))
        except (OSError, ValueError, TypeError):
            return None


def _condition(thing: object, kind: str) -> bool:
    """Whether a Kubernetes object carries the condition `kind` with status True."""
    if not isinstance(thing, dict):
        return False
    conditions = thing.get("status", {}).get("conditions") or []
    return any(one["type"] == kind and one["status"] == "True" for one in conditions)
