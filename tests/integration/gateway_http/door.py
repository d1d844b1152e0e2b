"""A front in a process of its own that answers by itself: `python -m … IDLE HEADER CONNECTIONS`.

Prints its port. Ends when its standard input does.
"""

import asyncio
import resource
import sys

import uvloop

from modelrunner.gateway.http import Front, FrontSettings
from modelrunner.gateway.messages import Answer, Request


class Own:
    """Answers all."""

    def decide(self, request: Request) -> Answer:
        """Part of Decider."""
        return Answer(200, request.path.encode())

    def refuse(self, path: str, status: int, code: str, message: str) -> Answer:
        """Part of Decider."""
        return Answer(status, f"{path} {message}".encode(), code=code)


async def main() -> None:
    """Serve until nobody listens to us any more."""
    idle, header, connections = sys.argv[1:]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    settings = FrontSettings(
        idle_timeout=float(idle),
        header_timeout=float(header),
        max_connections=int(connections),
        sweep_interval=0.2,
    )
    front = Front(Own(), settings)
    print(await front.listen("127.0.0.1", 0), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await front.drain(0.0)


uvloop.run(main())
