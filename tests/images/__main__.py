"""`python -m tests.images build|sizes`."""

import argparse
import sys
from collections.abc import Sequence

from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.cluster.providers import choose
from tests.images.build import Images, ensure_images
from tests.support.archives import FetchError


def build(arguments: argparse.Namespace, progress: Progress) -> None:
    """Build what changed, print names and sizes, and load the images where that is asked."""
    images = ensure_images(progress)
    show(images)
    if not arguments.load:
        return
    provider = choose()
    if provider.running():
        provider.load_images(images.archives, progress)
    else:
        progress.say("no cluster is up, so the images are loaded into none")


def sizes(_: argparse.Namespace, progress: Progress) -> None:
    """Print names and sizes; builds what is missing."""
    show(ensure_images(progress))


def show(images: Images) -> None:
    """A line for each image, on standard output."""
    for name, size in images.sizes.items():
        print(f"{name}  {size}")


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    whole = argparse.ArgumentParser(
        prog="python -m tests.images",
        description="The operator's and the runner's image of this tree, with docker or buildah.",
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("build", help="build what changed and print the sizes")
    command.add_argument(
        "--load", action="store_true", help="load them into the cluster if it is up"
    )
    command.set_defaults(run=build)
    commands.add_parser("sizes", help="print names and sizes").set_defaults(run=sizes)
    return whole


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; errors a user can mend are one paragraph on stderr."""
    arguments = parser().parse_args(words)
    try:
        arguments.run(arguments, Progress())
    except (ClusterError, FetchError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
