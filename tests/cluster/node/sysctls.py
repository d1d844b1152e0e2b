"""Kernel settings of the whole machine that a node changes, remembered and put back."""

import contextlib
import json
from pathlib import Path

_ROOT = Path("/proc/sys")
# What kubelet writes outside its namespaces, and the inotify limits that a node needs raised.
NAMES = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "fs/inotify/max_user_instances",
    "fs/inotify/max_user_watches",
)
_WANTED = {"fs/inotify/max_user_instances": 1024, "fs/inotify/max_user_watches": 524288}


def remember(file: Path, root: Path = _ROOT) -> None:
    """Write the values of now to `file`, unless an earlier, unfinished run already did."""
    if file.exists():
        return
    values = {}
    for name in NAMES:
        with contextlib.suppress(OSError):
            values[name] = (root / name).read_text(encoding="ascii").strip()
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(values), encoding="utf-8")
    partial.replace(file)


def raise_limits(root: Path = _ROOT) -> None:
    """Make the inotify limits large enough for a node; never lower them."""
    for name, wanted in _WANTED.items():
        setting = root / name
        with contextlib.suppress(OSError, ValueError):
            if int(setting.read_text(encoding="ascii")) < wanted:
                setting.write_text(str(wanted), encoding="ascii")


def put_back(file: Path, root: Path = _ROOT) -> None:
    """Restore what `remember` wrote; nothing happens when it never did."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    for name, value in values.items():
        setting = root / name
        with contextlib.suppress(OSError):
            if setting.read_text(encoding="ascii").strip() != value:
                setting.write_text(value, encoding="ascii")
