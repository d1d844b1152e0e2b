"""Addresses of this machine that Kubernetes takes for a pod's.

EndpointSlices refuse 127.0.0.0/8, so servers of a test that stand for pods listen on addresses of
198.18.0.0/15 (kept for tests of network devices, RFC 2544), put on the loopback interface.
"""

import contextlib
import random
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.commands import run, succeeds

_TRIES = 50


@contextlib.contextmanager
def borrowed() -> Iterator[str]:
    """One address that nobody else on this machine uses, until the block ends. Needs root."""
    for _ in range(_TRIES):
        address = f"198.18.{random.randrange(256)}.{random.randrange(1, 255)}"
        # The kernel refuses an address twice, so this is also the lock between test runs.
        if succeeds("ip", "address", "add", f"{address}/32", "dev", "lo"):
            break
    else:
        raise AssertionError("no address could be added to lo: run this as root, with iproute2")
    try:
        yield address
    finally:
        run("ip", "address", "del", f"{address}/32", "dev", "lo")


@pytest.fixture
def pod_address() -> Iterator[str]:
    """An address for a server that stands for a pod."""
    with borrowed() as address:
        yield address


@pytest.fixture
def pod_addresses() -> Iterator[Callable[[], str]]:
    """As `pod_address`, for a test that needs several: each call borrows one more."""
    with contextlib.ExitStack() as kept:
        yield lambda: kept.enter_context(borrowed())
