"""One request as metrics and the access log tell it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelrunner.gateway.table.entry import ModelEntry


class Exchange:
    """A request and its answer. Whoever decides about the request fills it in as it learns.

    `route` and `dialect` come from a fixed table: they are label values. `entry` is None for what
    is no model's (unknown names, the back office). `endpoint` is the name of the one that answered,
    "" where the answer is our own. `code` is our answer's word for programs. `status` is 0 until
    there is an answer. `first_byte_at` is on the clock of `received_at`, 0.0 until then. `held` is
    in seconds. `outcome` is the value of an `Outcome`. Tokens are -1 until an answer's usage told
    them; `Meters.finished` reads it.
    """

    __slots__ = (
        "client",
        "code",
        "dialect",
        "endpoint",
        "entry",
        "first_byte_at",
        "held",
        "key",
        "method",
        "outcome",
        "received_at",
        "request_id",
        "route",
        "status",
        "stream",
        "tokens_in",
        "tokens_out",
    )

    def __init__(
        self,
        request_id: bytes,
        client: str,
        method: str,
        route: str,
        dialect: str,
        received_at: float,
    ) -> None:
        self.request_id = request_id
        self.client = client
        self.method = method
        self.route = route
        self.dialect = dialect
        self.received_at = received_at
        self.entry: ModelEntry | None = None
        self.key = ""
        self.endpoint = ""
        self.stream = False
        self.status = 0
        self.code = ""
        self.first_byte_at = 0.0
        self.held = 0.0
        self.outcome = "complete"
        self.tokens_in = -1
        self.tokens_out = -1
