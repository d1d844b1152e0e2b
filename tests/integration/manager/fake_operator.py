"""The operator process with reconcilers that only write down what they are asked.

Run as a program: `python -m tests.integration.manager.fake_operator`. Each reconcile is a line
`reconcile KIND NAMESPACE/NAME` on standard output. SLOW=seconds makes each take that long.
"""

import asyncio
import os
import sys

from modelrunner.config import OperatorSettings
from modelrunner.controller.result import Result
from modelrunner.kube.objects import KubeObject
from modelrunner.manager.leadership import Parts, Wiring
from modelrunner.manager.process import serve


class Recording:
    """Prints the keys it is given."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    async def reconcile(self, key: tuple[str, str]) -> Result:
        """Print the key, and its end when reconciles are slow."""
        sys.stdout.write(f"reconcile {self._kind} {key[0]}/{key[1]}\n")
        sys.stdout.flush()
        slow = float(os.environ.get("SLOW", "0"))
        if slow:
            await asyncio.sleep(slow)
            sys.stdout.write(f"finished {self._kind} {key[0]}/{key[1]}\n")
            sys.stdout.flush()
        return Result()


def build(parts: Parts) -> Wiring:
    """Reconcilers that do nothing; a Model's artifact key is its http URL."""
    del parts

    def artifact_keys(model: KubeObject) -> list[str]:
        source = model.get("spec", {}).get("source", {})
        key = str(source.get("http", {}).get("url", "")).rpartition("/")[2]
        return [key] if key else []

    async def close() -> None:
        sys.stdout.write("closed\n")

    reconcilers = {kind: Recording(kind) for kind in ("Model", "ModelRunner")}
    return Wiring(reconcilers, artifact_keys, close)


if __name__ == "__main__":
    sys.exit(asyncio.run(serve(OperatorSettings.from_environment(os.environ), build)))
