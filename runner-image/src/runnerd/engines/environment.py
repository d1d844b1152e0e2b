"""Which variables of the container an engine gets. Pure; light to import.

Every flag of llama-server has a variable LLAMA_ARG_*. The official image sets one of them
(LLAMA_ARG_HOST), and `env` of a ModelRunner may set any: they stay a way to tune an engine, but
those that would take it out of our hands are left out.
"""

from collections.abc import Mapping
from typing import Final

from modelrunner_protocol.wire import RUN_CONFIG_VARIABLE

POOLING: Final = "LLAMA_ARG_POOLING"
THREADS: Final = "LLAMA_ARG_THREADS"
SPECULATION: Final = "LLAMA_ARG_SPEC_TYPE"

_OURS: Final = frozenset(
    {
        RUN_CONFIG_VARIABLE,
        # Where it listens, and that only we ask there.
        "LLAMA_ARG_HOST",
        "LLAMA_ARG_PORT",
        "LLAMA_ARG_REUSE_PORT",
        "LLAMA_ARG_API_PREFIX",
        "LLAMA_ARG_API_KEY",
        "LLAMA_ARG_API_KEY_FILE",
        "LLAMA_API_KEY",
        "LLAMA_ARG_SSL_KEY_FILE",
        "LLAMA_ARG_SSL_CERT_FILE",
        # What it serves, and under which name.
        "LLAMA_ARG_MODEL",
        "LLAMA_ARG_MODEL_URL",
        "LLAMA_ARG_DOCKER_REPO",
        "LLAMA_ARG_HF_REPO",
        "LLAMA_ARG_HF_FILE",
        "LLAMA_ARG_ALIAS",
        "LLAMA_ARG_EMBEDDINGS",
        "LLAMA_ARG_RERANKING",
        # Its output is ours to read, its metrics ours to pass on.
        "LLAMA_ARG_LOG_FILE",
        "LLAMA_ARG_ENDPOINT_METRICS",
        "LLAMA_ARG_NO_ENDPOINT_METRICS",
        # What a pull in the same process logs in with.
        "HF_TOKEN",
        "DOCKER_USERNAME",
        "DOCKER_PASSWORD",
        "DOCKER_HUB_USER",
        "DOCKER_HUB_PASSWORD",
    }
)
# A server of many models instead of one.
_ROUTER: Final = "LLAMA_ARG_MODELS_"


def engine_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of an engine that is started from a process with `environment`."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _OURS and not name.startswith(_ROUTER)
    }
