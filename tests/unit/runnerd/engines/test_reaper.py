"""PID 1 buries orphans, and leaves the engine's end to its keeper."""

import subprocess
import sys

_CODE = """
import ctypes, os, signal, sys, time
from runnerd.engines.child import Child
from runnerd.engines.reaper import reap_orphans

ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans come to us, as to PID 1
engine = Child(["/bin/sh", "-c", "exit 4"], {})
# A child that ends at once and leaves its own child behind.
parent = Child(["/bin/sh", "-c", "setsid sleep 0.1 & exit 0"], {"PATH": os.environ["PATH"]})
claimed, buried = [], 0

def claim(pid):
    if pid == engine.pid:
        claimed.append(engine.poll())
        return True
    return False

while True:
    buried += reap_orphans(claim)
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        break
assert claimed == [4], claimed
assert engine.poll() == 4
assert buried == 2, buried
print("buried")
"""


def test_orphans() -> None:
    """Every dead process is taken; the engine's status goes to the engine."""
    done = subprocess.run(
        [sys.executable, "-c", _CODE], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.stdout == "buried\n", done.stderr


def test_no_children() -> None:
    """Without children there is nothing to do."""
    code = "from runnerd.engines.reaper import reap_orphans; print(reap_orphans(lambda pid: False))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
