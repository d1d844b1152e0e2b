"""The HTTP front: bytes and connections in, `Decider` asked, bytes passed on.

    front = Front(decider, FrontSettings())     # in a running loop; settings are optional
    port = await front.listen("0.0.0.0", 12434)
    front.announce_end()                        # answers carry "Connection: close" from now on
    await front.drain(timeout=600.0)            # accept no more, finish, break off what is left

`front.in_flight`, `front.connections` and `front.pool.connections` are numbers for metrics.
From `Ticket.first_byte` on a request's body is let go: `Request.body` is b"" then.
"""

from modelrunner.gateway.http.front import Front
from modelrunner.gateway.http.settings import FrontSettings

__all__ = ["Front", "FrontSettings"]
