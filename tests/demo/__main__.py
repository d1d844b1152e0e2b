"""`python -m tests.demo up|install|down`."""

import argparse
import subprocess
import sys
from collections.abc import Sequence

from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.cluster.providers import choose
from tests.demo import chat, model, weights
from tests.support.archives import FetchError
from tests.support.gateway import gateway_url
from tests.support.kubeapi import KubeApi
from tests.support.stack import RELEASE, connect


def up(_: argparse.Namespace, progress: Progress) -> None:
    """Bring everything up, ask the model a question, print the answer and the timings."""
    with connect(progress) as stack:
        stack.install()
        progress.say("the operator runs")
        url = weights.serve(stack, progress)
        model.apply(stack, url)
        found = model.follow(stack, progress)
        model.show_startup(found)
        gateway = gateway_url(stack.provider, stack.api)
        progress.say(f"the gateway answers at {gateway}")
        chat.ask(gateway, "In one sentence, what is Kubernetes?")
        model.follow_to_sleep(stack, progress)
        chat.ask(gateway, "And now, in one sentence, what is a container?")
        model.show_startup(model.follow(stack, progress))
        model.show_next_steps(stack, gateway)


def show_gateway_url(_: argparse.Namespace, progress: Progress) -> None:
    """Print where the gateway is, and nothing else."""
    del progress
    provider = choose()
    with KubeApi.connect(provider.kubeconfig) as api:
        print(gateway_url(provider, api))


def install(arguments: argparse.Namespace, progress: Progress) -> None:
    """Install the chart into the cluster, with the images of this tree."""
    with connect(progress) as stack:
        stack.install(namespace=arguments.namespace)
        print(f"{RELEASE} runs in the namespace {arguments.namespace}; a sample to apply: samples/")


def down(_: argparse.Namespace, progress: Progress) -> None:
    """Remove the demo's Model and its file server; the cluster stays."""
    weights.stop()
    provider = choose()
    if provider.running():
        model.remove(provider.kubeconfig, progress)


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    whole = argparse.ArgumentParser(
        prog="python -m tests.demo", description="The product on a cluster of its own, to look at."
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("up", help="cluster, images, chart, a Model; asks it").set_defaults(run=up)
    chart = commands.add_parser("install", help="cluster, images and the chart only")
    chart.add_argument("--namespace", default="model-runner-system")
    chart.set_defaults(run=install)
    url = commands.add_parser("gateway-url", help="print where this machine reaches the gateway")
    url.set_defaults(run=show_gateway_url)
    commands.add_parser("down", help="remove the demo's Model").set_defaults(run=down)
    return whole


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; errors a user can mend are one paragraph on stderr."""
    arguments = parser().parse_args(words)
    try:
        arguments.run(arguments, Progress())
    except (ClusterError, FetchError, RuntimeError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        for note in getattr(error, "__notes__", []):
            print(note, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; `make down` removes what was started", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
