"""Why a model is not loaded, in sentences with numbers."""

from collections.abc import Collection
from typing import Final

from runnerd.engines.failure import Failure
from runnerd.server.dialects import SERVER_ERROR, Rejection, reject
from runnerd.standalone.pages import RefusedError
from runnerd.standalone.pool.eviction import Room
from runnerd.weights.memory import Estimate

INSUFFICIENT_MEMORY: Final = "insufficient_memory"
_GIBIBYTE: Final = 1 << 30
_MEBIBYTE: Final = 1 << 20
_SOON: Final = 1.0
_LATER: Final = 10.0


def too_large(name: str, needs: Estimate, budget: int) -> RefusedError:
    """It would not fit even if nothing else were loaded."""
    text = (
        f"{name} needs {told(needs)}, and there are {_size(budget)} in all: "
        "use a smaller context-size, a quantized KV cache (--cache-type-k q8_0, --cache-type-v "
        "q8_0), or a smaller model"
    )
    return RefusedError(Rejection(503, text, SERVER_ERROR, INSUFFICIENT_MEMORY))


def no_room(
    name: str, needs: Estimate | None, *, loaded: Collection[tuple[str, int]], room: Room
) -> RefusedError:
    """It waited in vain for what is loaded (names and sizes) to be used no more."""
    users = ", ".join(f"{other} ({_size(size)})" for other, size in loaded)
    if len(loaded) >= room.slots or room.budget is None or needs is None:
        text = (
            f"{name} was not loaded: {_places(room.slots)}, and what is loaded is in use: {users}"
        )
        code = "no_room"
    else:
        free = room.budget - sum(size for _, size in loaded)
        text = (
            f"{name} needs {told(needs)}; {_size(max(free, 0))} of {_size(room.budget)} are free, "
            f"and what is loaded is in use: {users}"
        )
        code = INSUFFICIENT_MEMORY
    return RefusedError(Rejection(503, text, SERVER_ERROR, code), _LATER)


def queue_full(most: int) -> RefusedError:
    """Too many wait already."""
    text = f"{most} requests wait for a model to be loaded already: try again"
    return RefusedError(Rejection(429, text, "rate_limit_error", "queue_full"), _SOON)


def already_active(name: str) -> RefusedError:
    """An engine in use cannot be told to be another one."""
    text = (
        f"runner already active: {name} is in use, or is being loaded, with another "
        "configuration: try again when it is idle, or unload it"
    )
    return RefusedError(reject(409, text, code="runner_already_active"), _LATER)


def not_loaded(name: str, failure: Failure | None) -> RefusedError:
    """Its engine ended."""
    if failure is None:
        text, code = "the engine was stopped", "engine_stopped"
    else:
        text, code = failure.message, failure.reason.value
    return RefusedError(Rejection(503, f"{name} was not loaded: {text}", SERVER_ERROR, code), _SOON)


def unloaded(name: str) -> RefusedError:
    """Somebody had it unloaded by force while others waited for it."""
    text = f"{name} was unloaded"
    return RefusedError(Rejection(503, text, SERVER_ERROR, "engine_stopped"), _SOON)


def no_draft(name: str) -> RefusedError:
    """It is to be drafted for by a model that is not there."""
    text = f"speculative.draft_model: there is no model {name[:200]!r} here: pull it first"
    return RefusedError(reject(404, text, code="model_not_found", param="draft_model"))


def wrong_settings(name: str, error: Exception) -> RefusedError:
    """No engine can be started at all, for anybody."""
    text = f"{name} was not loaded: {error}"
    return RefusedError(Rejection(503, text, SERVER_ERROR, "InvalidConfiguration"))


def ours() -> RefusedError:
    """An error of ours, which is in the log."""
    text = "the server failed; its log tells more"
    return RefusedError(Rejection(500, text, SERVER_ERROR, "engine_failed"))


def stopping() -> RefusedError:
    """Nothing is loaded any more."""
    return RefusedError(Rejection(503, "the server is stopping", SERVER_ERROR, "stopping"), _SOON)


def told(needs: Estimate) -> str:
    """An estimate: `5.2 GiB (4.1 weights + 1.1 KV cache at 8192 tokens + 0.1 for computing)`."""
    unit, name = (_GIBIBYTE, "GiB") if needs.total >= _GIBIBYTE // 10 else (_MEBIBYTE, "MiB")
    parts = [f"{needs.weights / unit:.1f} weights"]
    if needs.cache:
        parts.append(f"{needs.cache / unit:.1f} KV cache at {needs.context} tokens")
    parts.append(f"{needs.compute / unit:.1f} for computing")
    if needs.prompts:
        parts.append(f"{needs.prompts / unit:.1f} for kept prompts")
    return f"{needs.total / unit:.1f} {name} ({' + '.join(parts)})"


def _places(slots: int) -> str:
    return "there is one place" if slots == 1 else f"there are {slots} places"


def _size(count: int) -> str:
    return f"{count / _GIBIBYTE:.1f} GiB"
