"""IDs of responses: each tells which runner made it, since only that one keeps it. Pure.

resp_ 8 hex digits of the runner's address, 24 hex digits that are random
"""

import hashlib
import ipaddress
import re
from functools import lru_cache
from typing import Final

PREFIX: Final = "resp_"
MARK: Final = 8
"""Characters of an ID that tell the runner."""

_ID: Final = re.compile(r"[a-z]+_([0-9a-f]{8})[0-9a-f]{24}")


# Once per request, of few addresses: those that a runner listens at, those of a gateway's runners.
@lru_cache(maxsize=4096)
def mark(host: str, port: int) -> str:
    """How a runner at this address marks its IDs; every spelling of an address gives the same."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        name = host
    else:
        mapped = getattr(address, "ipv4_mapped", None)
        name = str(mapped or address)
    return hashlib.sha256(f"{name}:{port}".encode()).hexdigest()[:MARK]


def mark_of(identity: str) -> str | None:
    """The mark in an ID of a response or of an item; None for what is not ours."""
    found = _ID.fullmatch(identity)
    return found[1] if found is not None else None
