"""Which client does what: as data, for every server that the tests drive them against."""

from dataclasses import dataclass
from typing import Final

_OPENAI: Final = ("list_models", "show", "chat", "stream", "complete", "schema", "embed")
_RESPONSES: Final = ("respond", "stream_response", "respond_in_schema")
_ERRORS: Final = ("unknown", "unknown_stream", "wrong")
_TOOLS: Final = ("tools", "stream_tools")
_OLLAMA: Final = (
    *("list_models", "show", "chat", "stream", "complete", "schema", "embed"),
    *("load", "running", "unload"),
)
_MANAGEMENT: Final = ("pull", "copy", "delete", "unknown_delete")


@dataclass(frozen=True)
class Client:
    """One client of a language's packages.

    Attributes:
        script: its file below scripts/, of Python or of Node.
        scenarios: what it does with real models.
        tools: what it does with the scripted engine, since small models call no tools.
        management: what it does where models may be pulled and deleted.
        not_found: the error it raises for an unknown model.
        wrong: the error it raises for a body that is refused.
    """

    script: str
    scenarios: tuple[str, ...]
    tools: tuple[str, ...]
    not_found: str
    wrong: str = ""
    management: tuple[str, ...] = ()


CLIENTS: Final = (
    Client(
        "openai_client.py",
        (*_OPENAI, *_RESPONSES, *_ERRORS),
        _TOOLS,
        not_found="NotFoundError",
        wrong="BadRequestError",
    ),
    Client(
        "openai_client.mjs",
        (*(one for one in _OPENAI if one != "complete"), *_RESPONSES[:2], *_ERRORS),
        _TOOLS,
        not_found="NotFoundError",
        wrong="BadRequestError",
    ),
    Client(
        "anthropic_client.py",
        ("chat", "stream", "count", *_ERRORS),
        _TOOLS,
        not_found="NotFoundError",
        wrong="BadRequestError",
    ),
    Client(
        "anthropic_client.mjs",
        ("chat", "stream", "count", *_ERRORS),
        _TOOLS,
        not_found="NotFoundError",
        wrong="BadRequestError",
    ),
    Client(
        "ollama_client.py",
        (*_OLLAMA, *_ERRORS),
        _TOOLS,
        not_found="ResponseError",
        wrong="ResponseError",
        management=_MANAGEMENT,
    ),
    Client(
        "ollama_client.mjs",
        (*_OLLAMA, *_ERRORS),
        _TOOLS,
        not_found="ResponseError",
        wrong="ResponseError",
        management=_MANAGEMENT,
    ),
    Client(
        "langchain_openai_client.py",
        ("chat", "stream", "schema", "embed", "unknown"),
        _TOOLS,
        not_found="OpenAIModelNotFoundError",
    ),
    Client(
        "langchain_ollama_client.py",
        ("chat", "stream", "schema", "embed", "unknown"),
        _TOOLS,
        not_found="ResponseError",
    ),
    Client(
        "litellm_client.py",
        ("chat", "chat_ollama", "chat_anthropic", "stream", "embed", "unknown"),
        # With tools it imports its proxy, whose packages it does not ask for.
        (),
        not_found="NotFoundError",
    ),
    Client(
        "ai_client.mjs",
        ("chat", "chat_ollama", "stream", "schema", "embed", "unknown"),
        _TOOLS,
        not_found="APICallError",
    ),
)
"""Each is installed by tests/support/clients/installs.py."""
