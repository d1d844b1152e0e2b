"""A network namespace with loopback and nothing else: a machine whose cable was pulled.

async with offline() as cut:
    process = await asyncio.create_subprocess_exec(*cut.prefix, "program")
    answer = await cut.ask("http://127.0.0.1:8080/v1/models")
    assert cut.wanted() == 0
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

# Whoever is not root becomes root of a user namespace first.
_ROOT: Final = os.geteuid() == 0
_UNSHARE: Final = ("unshare", "-n") if _ROOT else ("unshare", "-Urn")
_ENTER: Final = ("-n",) if _ROOT else ("-n", "-U", "--preserve-credentials")
_PATIENCE: Final = 120.0

# In the order of /proc/net/snmp and snmp6: what found no route, and what asked a port of loopback
# where nobody listens, as programs ask for names that a resolver of this machine should know.
_COUNTERS: Final = {
    "snmp": (("Ip", "OutNoRoutes"), ("Udp", "NoPorts")),
    "snmp6": (("Ip6", "OutNoRoutes"), ("Udp6", "NoPorts")),
}
_ASK: Final = """
import sys, time, urllib.request, urllib.error
url, body, end = sys.argv[1], sys.argv[2].encode() or None, time.monotonic() + float(sys.argv[3])
while True:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            print(answer.read().decode())
        break
    except (OSError, urllib.error.URLError) as error:
        if time.monotonic() > end:
            raise
        time.sleep(0.05)
"""


@dataclass(frozen=True)
class Offline:
    """The namespace.

    Attributes:
        prefix: The beginning of a command line that runs a program inside.
        pid: Of a process inside.
    """

    prefix: tuple[str, ...]
    pid: int

    def wanted(self) -> int:
        """How many packets were to go to the outside, or to a resolver, since the beginning."""
        return sum(
            self._counted(name, group, counter)
            for name, counters in _COUNTERS.items()
            for group, counter in counters
        )

    async def ask(self, url: str, body: Any = None) -> Any:
        """GET, or POST of JSON, inside; again until there is an answer of 200. JSON.

        Raises:
            AssertionError: there was none in time; the text says why.
        """
        text = "" if body is None else json.dumps(body)
        process = await asyncio.create_subprocess_exec(
            *(*self.prefix, sys.executable, "-I", "-c", _ASK, url, text, str(_PATIENCE)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        answer, log = await process.communicate()
        assert process.returncode == 0, log.decode()
        return json.loads(answer)

    def _counted(self, name: str, group: str, counter: str) -> int:
        path = Path(f"/proc/{self.pid}/net/{name}")
        if not path.exists():
            return 0
        text = path.read_text("ascii")
        if name == "snmp6":
            lines = (line.split() for line in text.splitlines())
            return sum(int(count) for told, count in lines if told == group + counter)
        names, counts = (
            line.split()[1:] for line in text.splitlines() if line.startswith(f"{group}:")
        )
        return int(dict(zip(names, counts, strict=True))[counter])


@asynccontextmanager
async def offline() -> AsyncIterator[Offline]:
    """Make one for the block."""
    holder = await asyncio.create_subprocess_exec(
        *(*_UNSHARE, "sh", "-c", "ip link set lo up && echo up && exec cat"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert holder.stdout is not None
    try:
        assert await holder.stdout.readline() == b"up\n"
        prefix = ("nsenter", "-t", str(holder.pid), *_ENTER, "--")
        yield Offline(prefix, holder.pid)
    finally:
        # An input, be it empty, is what closes the pipe and so ends the holder.
        await holder.communicate(b"")
