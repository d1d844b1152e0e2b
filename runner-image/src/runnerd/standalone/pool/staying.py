"""How long engines stay when nobody uses them, and what is told of that."""

from modelrunner_protocol.configure import LLAMA_CPP
from runnerd.standalone.pool.configurations import Configurations
from runnerd.standalone.pool.entry import Entry
from runnerd.standalone.pool.told import Running


class Staying:
    """`usual` seconds, unless somebody says something else; negative: for ever."""

    def __init__(self, configurations: Configurations, usual: float) -> None:
        self._configurations = configurations
        self._usual = usual

    def keep_alive(self, entry: Entry) -> float:
        """What a request asked for, else what was configured, else the usual."""
        if (found := entry.served.keep_alive) is not None:
            return found
        found = self._configurations.of(entry.specification.key).keep_alive
        return self._usual if found is None else found

    def expiry(self, entry: Entry) -> float | None:
        """When an engine goes if nobody uses it, by the loop's clock; None: it stays for now."""
        seconds = self.keep_alive(entry)
        if entry.in_use or not entry.loaded or seconds < 0:
            return None
        return entry.idle_since + seconds

    def told(self, entry: Entry) -> Running:
        """For lists of what runs."""
        specification, keep_alive = entry.specification, self.keep_alive(entry)
        goes = self.expiry(entry) is not None
        return Running(
            identity=specification.key.identity,
            name=specification.name,
            mode=specification.key.mode,
            backend=LLAMA_CPP,
            last_used=entry.last_used,
            in_use=entry.in_use > 0,
            loading=not entry.loaded,
            keep_alive=keep_alive,
            size_bytes=specification.needs.total,
            context=specification.needs.context or None,
            expires_at=entry.last_used + keep_alive if goes else None,
        )
