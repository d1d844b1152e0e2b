"""Log lines as JSON objects on standard output.

    log = logging.getLogger(__name__)
    log.info("the engine is ready", extra=fields(seconds=1.5))

Prompts, answers, headers and URLs with queries never go into a log line.
"""

import json
import logging
import sys
import time
from typing import Any, TextIO

_LEVELS = {"debug", "info", "warning", "error"}


class JsonFormatter(logging.Formatter):
    """One JSON object per record: ts (RFC 3339, UTC), level, msg, then the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry: dict[str, Any] = {
            "ts": f"{whole}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
        }
        entry.update(getattr(record, "fields", {}))
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str, separators=(",", ":"))


def fields(**values: Any) -> dict[str, Any]:
    """What a record carries beside its message: `log.info("…", extra=fields(pid=1))`."""
    return {"fields": values}


def set_up(level: str, stream: TextIO | None = None) -> None:
    """Send every record of at least `level` (a name; an unknown one means info) to `stream`."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    name = level.lower()
    root.setLevel((name if name in _LEVELS else "info").upper())
    # aiohttp tells every request that is not HTTP as an error with a trace.
    if name != "debug":
        logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
