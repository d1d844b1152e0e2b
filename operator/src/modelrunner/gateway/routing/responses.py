"""OpenAI's responses are kept by the runner that made them; each ID tells which one that is.

Requests that go on from a response are sent there, and those that read or delete one. Pure.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from modelrunner.gateway.auth.key import ApiKey
from modelrunner.gateway.messages import Endpoint
from modelrunner.gateway.routing.body import Peek, peek_with
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner_protocol.response_ids import mark, mark_of

_PATH: Final = re.compile(
    r"(?:/engines(?:/(?!v1/)([^/]+))?)?(?:/v1)?/responses/([^/]+)(/input_items|/cancel)?"
)
_METHODS: Final = {
    None: ("GET", "HEAD", "DELETE"),
    "/input_items": ("GET", "HEAD"),
    "/cancel": ("POST",),
}
_REFERENCE: Final = b'"item_reference"'
_ITEM: Final = re.compile(rb'"([a-z]+_[0-9a-f]{32})"')
_mark: Final = lru_cache(maxsize=4096)(mark)


class FollowUp(Peek, gc=False):
    """A request that may go on from a response."""

    previous_response_id: str | None = None

    def follows(self, body: bytes) -> bool:
        """Whether it goes on from a response."""
        return bool(self.previous_response_id) or _REFERENCE in body

    def keeper(self, body: bytes, endpoints: Iterable[Endpoint], now: float) -> Endpoint | None:
        """The one among runners that keeps what it goes on from, unless it rests."""
        identity = self.previous_response_id
        if not identity:
            # Items that stand in it as references have IDs of the same kind.
            found = _ITEM.search(body) if _REFERENCE in body else None
            identity = found[1].decode() if found is not None else ""
        wanted = mark_of(identity)
        kept = None if wanted is None else _home(endpoints, wanted)
        return kept if kept is not None and kept.rests_until <= now else None


_decode: Final = msgspec.json.Decoder(FollowUp).decode


def follow_up(body: bytes) -> FollowUp:
    """Read what routing needs.

    Raises:
        Unreadable: it is no JSON object, or a field has the wrong type.
    """
    return peek_with(_decode, body)


@dataclass(frozen=True, slots=True)
class KeptPath:
    """A path of one response. `engine` is the one that it names, "" for none."""

    engine: str
    identity: str
    methods: tuple[str, ...]


def kept_path(path: str) -> KeptPath | None:
    """What a path below `…/responses/` names, None for another path."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    return KeptPath(found[1] or "", found[2], _METHODS[found[3]])


def _home(endpoints: Iterable[Endpoint], wanted: str) -> Endpoint | None:
    """The one among runners that has this mark."""
    for endpoint in endpoints:
        address = endpoint.address
        if not isinstance(address, str) and _mark(*address) == wanted:
            return endpoint
    return None


def keeper(
    entries: Iterable[ModelEntry], path: KeptPath, key: ApiKey | None
) -> tuple[ModelEntry, Endpoint] | None:
    """The ready runner that keeps a response, of a model that `key` may use; and its model."""
    wanted = mark_of(path.identity)
    if wanted is None:
        return None
    for entry in entries:
        if path.engine and entry.engine and path.engine != entry.engine:
            continue
        endpoint = _home(entry.ready, wanted)
        if endpoint is not None and (key is None or key.may_use(entry)):
            return entry, endpoint
    return None
