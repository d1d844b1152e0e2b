"""The command line: python -m tests.cluster COMMAND."""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from tests.cluster import build as builds
from tests.cluster.control_plane import ControlPlane
from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.cluster.providers import choose

_Command = Callable[[argparse.Namespace, Progress], int]
_FIRST_PORT = 7000


def build(_: argparse.Namespace, progress: Progress) -> int:
    """Build all programs of the embedded cluster."""
    print(builds.ensure(progress).folder)
    return 0


def up(_: argparse.Namespace, progress: Progress) -> int:
    """Bring the cluster up."""
    choose().up(progress)
    return 0


def down(_: argparse.Namespace, progress: Progress) -> int:
    """Take the cluster, and control planes that were left, down."""
    choose().down(progress)
    return 0


def status(_: argparse.Namespace, progress: Progress) -> int:
    """Tell what runs; 0 when the cluster is up, else 1."""
    provider = choose()
    running = provider.running()
    print(f"{provider.name} cluster: {'up' if running else 'down'}")
    print(f"kubeconfig: {provider.kubeconfig}")
    if running:
        print("\n".join(provider.details()))
    return 0 if running else 1


def kubeconfig(_: argparse.Namespace, progress: Progress) -> int:
    """Print the path of the kubeconfig."""
    provider = choose()
    print(provider.kubeconfig)
    if not provider.running():
        print("the cluster is down: python -m tests.cluster up", file=sys.stderr)
    return 0


def load(arguments: argparse.Namespace, progress: Progress) -> int:
    """Load image archives into the cluster's node."""
    for archive in arguments.archives:
        if not archive.is_file():
            raise ClusterError(f"{archive} is not a file")
    choose().load_images(arguments.archives, progress)
    return 0


def exec_env(_: argparse.Namespace, progress: Progress) -> int:
    """Print what a shell evaluates to use the cluster."""
    provider = choose()
    path = "".join(f"{folder}:" for folder in provider.program_folders)
    print(f"export KUBECONFIG={provider.kubeconfig} PATH={path}$PATH")
    return 0


def control_plane(arguments: argparse.Namespace, progress: Progress) -> int:
    """Start a control plane that goes on after this command."""
    begin = time.monotonic()
    plane = ControlPlane(port=arguments.port, progress=progress)
    plane.start(keep=True)
    progress.say(f"control plane is ready after {time.monotonic() - begin:.1f} s")
    print(f"export KUBECONFIG={plane.kubeconfig}")
    return 0


def control_plane_down(arguments: argparse.Namespace, progress: Progress) -> int:
    """End a control plane."""
    ControlPlane(port=arguments.port).stop()
    progress.say(f"no control plane on port {arguments.port}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    whole = argparse.ArgumentParser(
        prog="python -m tests.cluster",
        description="A real Kubernetes for the tests and the demo: a given cluster "
        "(MODEL_RUNNER_TEST_KUBECONFIG), else kind, else one built from its Go modules.",
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: _Command, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    add("build", build, "build the embedded cluster's programs (about 10 minutes, once)")
    add("up", up, "bring the cluster up; does nothing when it is up")
    add("down", down, "take the cluster and all control planes down, leaving nothing behind")
    add("status", status, "tell which cluster is used and whether it is up (status 0) or not (1)")
    add("kubeconfig", kubeconfig, "print the path of the kubeconfig")
    add("exec-env", exec_env, "print a line to eval that sets KUBECONFIG and PATH")
    archives = add("load", load, "load images into the cluster's node")
    archives.add_argument("archives", nargs="+", type=Path, metavar="IMAGE.tar", help="OCI archive")
    for name, run, text in (
        ("control-plane", control_plane, "start etcd, API server and controllers on 127.0.0.1"),
        ("control-plane-down", control_plane_down, "end the control plane on a port"),
    ):
        command = add(name, run, text)
        help_text = f"the API server's port; four more follow (default {_FIRST_PORT})"
        command.add_argument("--port", type=int, default=_FIRST_PORT, help=help_text)
    return whole


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; errors a user can mend are one paragraph on stderr."""
    arguments = parser().parse_args(words)
    # Asked to end, `up` first takes down what it started.
    signal.signal(signal.SIGTERM, _interrupt)
    run: _Command = arguments.run
    try:
        return run(arguments, Progress())
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    return 1


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
