"""How an embedding engine makes one vector of many. Light to import.

A model made for embeddings says in its header how; a chat model does not (or says 0, "none"),
and llama-server then refuses OpenAI's route. Docker Model Runner answers it, so such a model
gets the mean.
"""

from collections.abc import Collection, Mapping
from typing import Final

from modelrunner_protocol.wire import Mode, RunConfig
from runnerd.engines.environment import POOLING

_FLAG: Final = "--pooling"
_MEAN: Final = (_FLAG, "mean")


def pooling_flags(
    config: RunConfig, first: Collection[str], environment: Mapping[str, str]
) -> tuple[str, ...]:
    """The flags that give a model without a pooling of its own the mean.

    Args:
        config: What to serve; its weights are read in embedding mode, and only then.
        first: The flags of LLAMA_ARGS, which may choose a pooling as the user's may.
        environment: The engine's variables, one of which may do so, too.
    """
    if config.mode is not Mode.EMBEDDING or environment.get(POOLING):
        return ()
    if any(flag.partition("=")[0] == _FLAG for flag in (*config.runtime_flags, *first)):
        return ()
    from runnerd.weights.gguf import GgufError, read  # noqa: PLC0415  # in embedding mode only

    try:
        with open(config.weights, "rb") as file:  # noqa: PTH123  # pathlib is slow to import
            header = read(file)
    except (OSError, GgufError):
        # The engine tells what is wrong with the file.
        return ()
    return () if header.pooling else _MEAN
