"""Pulls one reference into one catalogue, as a process of its own that a test may kill.

    python puller.py FOLDER REFERENCE

Each event is a line of JSON on standard output; a refusal is one as well.
"""

import asyncio
import dataclasses
import json
import os
import sys
from contextlib import aclosing
from pathlib import Path

from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.catalogue.pulls import Pulls
from runnerd.standalone.catalogue.refusal import PullRefusedError
from runnerd.standalone.catalogue.sources import Sources
from runnerd.weights.clock import SystemClock
from runnerd.weights.settings import Settings


async def _main(root: Path, reference: str) -> None:
    catalogue = Catalogue(root)
    sources = Sources(
        names=catalogue.names,
        settings=Settings.from_environment(os.environ),
        clock=SystemClock(),
        insecure=True,
    )
    try:
        async with aclosing(Pulls(catalogue, sources).pull(reference)) as events:
            async for event in events:
                _tell(dataclasses.asdict(event))
    except PullRefusedError as error:
        _tell({"kind": "refused", "message": str(error), "status": error.status})


def _tell(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), sys.argv[2]))
