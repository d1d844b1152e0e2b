"""Shapes that many recorded answers have."""

from typing import Any, Final

NAME: Final = "ai/smollm2"
TAG: Final = "ai/smollm2:latest"
THEIR_TAG: Final = "docker.io/ai/smollm2:latest"
TEXT_OR_NONE: Final = (str, None)

OPENAI: Final = {
    "error": {"message": str, "type": str, "code": TEXT_OR_NONE, "param": TEXT_OR_NONE}
}
ANTHROPIC: Final = {"type": "error", "error": {"type": str, "message": str}}
OLLAMA: Final = {"error": str}
ENGINE: Final = {"error": {"message": str, "type": str, "code": int}}

CONFIG: Final[dict[str, Any]] = {
    "format": "gguf",
    "quantization": str,
    "parameters": str,
    "architecture": "llama",
    "size": str,
    "memory?": str,
}
DMR: Final = {
    "context_window": int,
    "architecture": "llama",
    "parameters": str,
    "quantization": str,
    "size": str,
    "memory?": str,
}
TIMINGS: Final = {
    "cache_n": int,
    "prompt_n": int,
    "prompt_ms": float,
    "prompt_per_token_ms": float,
    "prompt_per_second": float,
    "predicted_n": int,
    "predicted_ms": float,
    "predicted_per_token_ms": float,
    "predicted_per_second": float,
}
USAGE: Final = {
    "completion_tokens": int,
    "prompt_tokens": int,
    "total_tokens": int,
    "prompt_tokens_details": {"cached_tokens": int},
}
LAYER: Final = {"id": str, "size": int, "current": int}
PROGRESS: Final = {
    "type": "progress",
    "message": str,
    "total": int,
    "layer": LAYER,
    "mode": "pull",
}


def success(message: Any) -> dict[str, Any]:
    """The last line of a pull."""
    layer = {"size": 0, "current": 0}
    return {"type": "success", "message": message, "total": 0, "layer": layer, "mode": "pull"}


def listed(*tags: str, theirs: bool = False) -> dict[str, Any]:
    """An entry of GET /models."""
    config = CONFIG | ({"gguf": dict} if theirs else {"gguf?": dict, "context_size": int})
    return {"id": str, "tags": list_of(*tags), "created": int, "config": config}


def list_of(*values: Any) -> Any:
    """A list of exactly these: any of them, as often as there are elements."""
    return [tuple(values)]


def openai_model(name: str) -> dict[str, Any]:
    """An entry of GET /v1/models."""
    return {"id": name, "object": "model", "created": int, "owned_by": "docker", "dmr": DMR}


def chat(model: Any, message: Any = None, **more: Any) -> dict[str, Any]:
    """A whole chat."""
    told = message or {"role": "assistant", "content": str}
    choice = {"finish_reason": str, "index": 0, "message": told, **more}
    return {
        "choices": [choice],
        "created": int,
        "model": model,
        "system_fingerprint": str,
        "object": "chat.completion",
        "usage": USAGE,
        "id": str,
        "timings": TIMINGS,
    }


def chunk(model: Any, **more: Any) -> dict[str, Any]:
    """A piece of a streamed chat."""
    usual = {"choices": list, "created": int, "id": str, "model": model}
    return {**usual, "system_fingerprint": str, "object": "chat.completion.chunk", **more}


def row(mode: Any = "completion", **more: Any) -> dict[str, Any]:
    """A row of GET /engines/ps."""
    usual = {"backend_name": "llama.cpp", "model_name": NAME, "mode": mode, "last_used": str}
    return usual | more


def configured(tag: str, config: dict[str, Any]) -> list[dict[str, Any]]:
    """GET /engines/_configure."""
    usual = {"Backend": "llama.cpp", "Model": tag, "ModelID": str, "Mode": "completion"}
    return [usual | {"Config": config}]


def ollama_running(name: str, **more: Any) -> dict[str, Any]:
    """A row of GET /api/ps."""
    return {"name": name, "model": name, "digest": str, "expires_at": str, **more}


def ollama_listed(name: str, size: Any, **details: Any) -> dict[str, Any]:
    """An entry of GET /api/tags."""
    return {
        "name": name,
        "model": name,
        "modified_at": str,
        "size": size,
        "digest": str,
        "details": ollama_details(**details),
    }


def ollama_details(**more: Any) -> dict[str, Any]:
    """What Ollama's clients are told of a model's kind."""
    return {
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": str,
        "quantization_level": str,
        **more,
    }


OUR_DETAILS: Final = {"parent_model": "", "context_length?": int, "memory_size?": str}
"""More members of `ollama_details` that ours have."""


def message(model: Any, **more: Any) -> dict[str, Any]:
    """A whole message of Anthropic's."""
    return {
        "id": str,
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": str}],
        "model": model,
        "stop_reason": str,
        "stop_sequence": TEXT_OR_NONE,
        "usage": {"cache_read_input_tokens": int, "input_tokens": int, "output_tokens": int},
        **more,
    }
