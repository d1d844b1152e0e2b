"""Ports for programs that cannot choose one themselves."""

import random
import socket
from typing import Final

# Below those that the kernel hands out to whoever asks for any (32768 and above), and beside those
# of the control planes: nobody takes one by chance before the program does.
_RANGE: Final = range(20_000, 32_000)


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port on which nobody listens now.

    Raises:
        OSError: none of many was free.
    """
    for number in random.sample(_RANGE, 100):
        with socket.socket() as probe:
            try:
                probe.bind((host, number))
            except OSError:
                continue
            return number
    raise OSError(f"no free port of {_RANGE}")
