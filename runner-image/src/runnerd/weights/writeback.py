"""Sends what was written on its way to the disk while more comes."""

import ctypes
from typing import Final

_START: Final = 2
"""SYNC_FILE_RANGE_WRITE: do not wait (sync_file_range(2))."""


def begin_writeback(handle: int) -> None:
    """Let the disk begin with all of a file that it does not have yet.

    Else the kernel waits until much is dirty, and all of it is waited for at the end. Nothing is
    said about failures, as the fsync at the end tells them; systems without the call do without.
    """
    if _sync_file_range is not None:
        _sync_file_range(handle, 0, 0, _START)


def _found() -> "ctypes._NamedFuncPointer | None":
    function = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if function is not None:
        function.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    return function


_sync_file_range = _found()
