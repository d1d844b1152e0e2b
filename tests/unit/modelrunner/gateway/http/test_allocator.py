"""Memory that is freed and needed again does not come from the kernel each time."""

import subprocess
import sys
from typing import Final

_PROGRAM: Final = """
import resource
from modelrunner.gateway.http.allocator import keep_freed_memory
assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def bodies():
    whole = [bytes(65_000) for _ in range(3)]
    larger = bytes(300_000)
bodies()
before = faults()
for _ in range(1000):
    bodies()
print(faults() - before)
"""


def test_bodies_cost_no_page_faults() -> None:
    """A thousand requests' worth of bodies, one after the other, fault in less than one page each.

    In a process of its own, since the setting is one of the process.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 1000
