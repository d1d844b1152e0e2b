"""How a pull or a push ends that fails: refused before its first event, and with an event after."""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from modelrunner_protocol import dmr
from runnerd.standalone.catalogue.refusal import PullRefusedError, refusal_of
from runnerd.weights import disk
from runnerd.weights.failure import TransientError, WeightsError

logger = logging.getLogger(__name__)


async def telling(
    events: AsyncGenerator[dmr.Line, None], what: str, root: Path, way: dmr.Way = dmr.Way.PULL
) -> AsyncGenerator[dmr.Line, None]:
    """The events, and how they end.

    Args:
        events: Closed at the end.
        what: In words, for the log: "pulling ai/smollm2:latest".
        root: Where the volume is, for what its errors mean.
        way: For the last event.

    Raises:
        PullRefusedError: instead of the first event.
    """
    begun = False
    try:
        async with aclosing(events):
            async for event in events:
                begun = True
                yield event
    except (WeightsError, TransientError, OSError) as error:
        refused = refusal_of(_failure(error, root))
        logger.warning("%s: %s", what, refused)
    except Exception as error:
        logger.exception("%s", what)
        message = f"an unexpected {type(error).__name__}: see the server's log"
        refused = PullRefusedError(500, message)
    else:
        return
    if not begun:
        raise refused
    yield dmr.failed(str(refused), way)


def _failure(error: WeightsError | TransientError | OSError, root: Path) -> WeightsError:
    if isinstance(error, OSError):
        return disk.failure_of(error, root, 0)
    return WeightsError(str(error)) if isinstance(error, TransientError) else error
