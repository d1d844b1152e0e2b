"""How a model is to run: Docker Model Runner's `_configure`, read, checked, merged and told.

Source: docker/model-runner `pkg/inference/backend.go` (`BackendConfiguration`),
`pkg/inference/scheduling/api.go` (`ConfigureRequest`), `pkg/inference/hf_overrides.go`. Ours
differs on purpose: members that are not given stay as they were (`merge`), both kinds of flags
at once are an error, and everything wrong is a 400 with a sentence.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from modelrunner_protocol.durations import format_keep_alive, parse_keep_alive
from modelrunner_protocol.flags import FlagError, check_flags, mode_of, split_flags
from modelrunner_protocol.wire import NO_IMAGES, Mode

LLAMA_CPP: Final = "llama.cpp"
VLLM: Final = "vllm"
BACKENDS: Final = (LLAMA_CPP, VLLM, "sglang", "mlx", "diffusers")
"""What Docker Model Runner calls its engines."""

_INT32: Final = 2**31 - 1
_KEY: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_MOST_OVERRIDES: Final = 1000


class ConfigureError(ValueError):
    """A configuration that cannot be; the text is a sentence for the client.

    Attributes:
        status: What HTTP says to it: 400, 404 for an unknown backend, 501 for what no engine does.
        param: The member at fault, "" when it is the whole.
    """

    def __init__(self, message: str, *, param: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.param = param


@dataclass(frozen=True, slots=True, kw_only=True)
class Speculative:
    """A draft model that writes ahead; None leaves a number to the engine."""

    draft_model: str
    num_tokens: int | None = None
    min_acceptance_rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """How a model is to run; None: nothing is said about it.

    Attributes:
        context_size: Tokens; -1: as many as the model was trained for.
        runtime_flags: Split, see `checked` for whether they are allowed.
        keep_alive: Seconds, negative: for ever.
        gpu_memory_utilization: 0 to 1, for vLLM only, as `hf_overrides`.
        reasoning_budget: Tokens, -1: without a bound; for llama.cpp only.
    """

    context_size: int | None = None
    runtime_flags: tuple[str, ...] | None = None
    speculative: Speculative | None = None
    keep_alive: float | None = None
    reasoning_budget: int | None = None
    gpu_memory_utilization: float | None = None
    hf_overrides: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigureRequest:
    """The body of a POST to `_configure`. `mode`: None when neither it nor a flag tells one."""

    model: str
    mode: Mode | None
    configuration: Configuration


def configure_request(data: object) -> ConfigureRequest:
    """Read a decoded body; members that are null are absent, unknown ones are ignored.

    Flags are split here and checked by `checked`, once the backend is known.

    Raises:
        ConfigureError: what is wrong with it.
    """
    body = _Members(_object(data, ""), "")
    flags = _flags(body)
    vllm, llamacpp = body.nested("vllm"), body.nested("llamacpp")
    configuration = Configuration(
        context_size=body.whole("context-size", least=-1),
        runtime_flags=flags,
        speculative=_speculative(body),
        keep_alive=_keep_alive(body),
        reasoning_budget=llamacpp.whole("reasoning-budget", least=-1),
        gpu_memory_utilization=vllm.share("gpu-memory-utilization"),
        hf_overrides=_overrides(vllm),
    )
    model = body.text("model")
    if not model:
        raise ConfigureError("model is required", param="model")
    return ConfigureRequest(
        model=model, mode=_mode(body.text("mode"), flags or ()), configuration=configuration
    )


def backend_of(asked: str, weights: str, installed: Collection[str]) -> str:
    """The backend that runs weights of a format: the format decides, not the path.

    Args:
        asked: The backend in the request's path, "" when it names none.
        weights: "gguf", "safetensors", or "" when that is not known.
        installed: The backends that there are here.

    Raises:
        ConfigureError: 404 for a backend that is not here, 400 when none here runs these weights.

    Source: `selectBackendForModel` of docker/model-runner, where weights that a backend cannot
    run are a 500.
    """
    if asked and asked not in installed:
        raise ConfigureError("backend not found", status=404)
    suited = {"gguf": LLAMA_CPP, "safetensors": VLLM}.get(weights, asked or LLAMA_CPP)
    if suited not in installed:
        raise ConfigureError(f"weights in the format {weights} need {suited}, which is not here")
    if asked and asked != suited and weights == "gguf":
        raise ConfigureError(f"{asked} cannot run weights in the format gguf: ask {suited}")
    return suited


def checked(configuration: Configuration, backend: str) -> Configuration:
    """The same, once it is sure that `backend` may be started with it.

    Raises:
        ConfigureError: a flag that may not be set.
    """
    try:
        check_flags(backend, configuration.runtime_flags or ())
    except FlagError as error:
        raise ConfigureError(str(error), param="runtime-flags") from error
    return configuration


def merge(old: Configuration, new: Configuration) -> Configuration:
    """What is valid after `new` was said on top of `old`.

    What `new` does not say stays. An empty list of flags takes the flags away, and a
    context of 0 the context's size.
    """
    said = {
        field.name: value
        for field in fields(new)
        if (value := getattr(new, field.name)) is not None
    }
    merged = replace(old, **said)
    if merged.context_size == 0:
        merged = replace(merged, context_size=None)
    return replace(merged, runtime_flags=merged.runtime_flags or None)


def same_engine(one: Configuration, other: Configuration) -> bool:
    """Whether an engine started with one needs no restart for the other."""
    return replace(one, keep_alive=None) == replace(other, keep_alive=None)


def told(configuration: Configuration) -> dict[str, Any]:
    """A configuration as `_configure` has it: only what is said."""
    speculative, keep_alive = configuration.speculative, configuration.keep_alive
    members: dict[str, Any] = {
        "context-size": configuration.context_size,
        "runtime-flags": list(configuration.runtime_flags or ()) or None,
        "speculative": _said(
            draft_model=speculative.draft_model,
            num_tokens=speculative.num_tokens,
            min_acceptance_rate=speculative.min_acceptance_rate,
        )
        if speculative
        else None,
        "keep_alive": None if keep_alive is None else format_keep_alive(keep_alive),
        "vllm": _said(
            **{
                "hf-overrides": configuration.hf_overrides,
                "gpu-memory-utilization": configuration.gpu_memory_utilization,
            }
        ),
        "llamacpp": _said(**{"reasoning-budget": configuration.reasoning_budget}),
    }
    return _said(**members) or {}


def told_entry(
    configuration: Configuration, *, backend: str, model: str, identity: str, mode: str
) -> dict[str, Any]:
    """An entry of GET `_configure`, with the names that Go gives its members.

    Source: `ModelConfigEntry` of docker/model-runner, which has no names of its own for JSON.
    """
    return {
        "Backend": backend,
        "Model": model,
        "ModelID": identity,
        "Mode": mode,
        "Config": told(configuration),
    }


def _said(**members: Any) -> dict[str, Any] | None:
    return {name: value for name, value in members.items() if value is not None} or None


def _object(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigureError(
            f"{path} must be an object" if path else "the body must be a JSON object", param=path
        )
    return value


class _Members:
    """The members of an object, each read with the type that it must have."""

    def __init__(self, data: Mapping[str, Any], path: str) -> None:
        self._data = data
        self._path = path

    def raw(self, name: str) -> Any:
        return self._data.get(name)

    def text(self, name: str) -> str:
        found = self.raw(name)
        if found is None:
            return ""
        if not isinstance(found, str):
            raise self.wrong(name, "must be a string")
        return found

    def whole(self, name: str, *, least: int) -> int | None:
        found = self.raw(name)
        if found is None:
            return None
        if not isinstance(found, int) or isinstance(found, bool):
            raise self.wrong(name, "must be a whole number")
        if not least <= found <= _INT32:
            raise self.wrong(name, f"must be from {least} to {_INT32}")
        return found

    def share(self, name: str) -> float | None:
        found = self.raw(name)
        if found is None:
            return None
        if not isinstance(found, int | float) or isinstance(found, bool):
            raise self.wrong(name, "must be a number")
        if not 0 <= found <= 1:
            raise self.wrong(name, "must be from 0.0 to 1.0")
        return float(found)

    def nested(self, name: str) -> "_Members":
        found = self.raw(name)
        path = self._where(name)
        return _Members({} if found is None else _object(found, path), path)

    def wrong(self, name: str, what: str) -> ConfigureError:
        where = self._where(name)
        return ConfigureError(f"{where} {what}", param=where)

    def _where(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name


def _mode(word: str, flags: Collection[str]) -> Mode | None:
    if word == Mode.IMAGE_GENERATION:
        raise ConfigureError(NO_IMAGES, param="mode", status=501)
    if not word:
        return mode_of(flags)
    if word not in set(Mode):
        known = ", ".join(f'"{mode.value}"' for mode in Mode)
        raise ConfigureError(f"mode must be one of {known}; {word[:80]!r} is none", param="mode")
    return Mode(word)


def _flags(body: _Members) -> tuple[str, ...] | None:
    listed, raw = body.raw("runtime-flags"), body.text("raw-runtime-flags")
    if listed and raw:
        raise ConfigureError(
            "runtime-flags and raw-runtime-flags say the same thing: send one of them",
            param="raw-runtime-flags",
        )
    if isinstance(listed, list):
        if not all(isinstance(flag, str) for flag in listed):
            raise body.wrong("runtime-flags", "must be a list of strings, or one string")
        return tuple(listed) if listed or not raw else _split(raw, "raw-runtime-flags")
    if listed is not None and not isinstance(listed, str):
        raise body.wrong("runtime-flags", "must be a list of strings, or one string")
    if raw:
        return _split(raw, "raw-runtime-flags")
    return None if listed is None else _split(listed, "runtime-flags")


def _split(text: str, param: str) -> tuple[str, ...]:
    try:
        return split_flags(text)
    except FlagError as error:
        raise ConfigureError(str(error), param=param) from error


def _keep_alive(body: _Members) -> float | None:
    if (found := body.raw("keep_alive")) is None:
        return None
    if not isinstance(found, str):
        raise body.wrong("keep_alive", 'must be a string, for example "5m", "0" or "-1"')
    try:
        return parse_keep_alive(found)
    except ValueError as error:
        raise ConfigureError(f"keep_alive: {error}", param="keep_alive") from error


def _speculative(body: _Members) -> Speculative | None:
    if body.raw("speculative") is None:
        return None
    members = body.nested("speculative")
    draft = members.text("draft_model")
    tokens = members.whole("num_tokens", least=0)
    rate = members.share("min_acceptance_rate")
    if not draft and (tokens or rate):
        raise members.wrong("draft_model", "is missing: the model that writes ahead")
    if not draft:
        return None
    # As there, 0 says nothing: the engine chooses.
    return Speculative(
        draft_model=draft, num_tokens=tokens or None, min_acceptance_rate=rate or None
    )


def _overrides(vllm: _Members) -> Mapping[str, Any] | None:
    if vllm.raw("hf-overrides") is None:
        return None
    found = _object(vllm.raw("hf-overrides"), "vllm.hf-overrides")
    # Without recursion: how deep it goes is the client's choice.
    left: list[Any] = [found]
    for _ in range(_MOST_OVERRIDES):
        if not left:
            return found
        one = left.pop()
        if isinstance(one, list):
            left += one
        elif isinstance(one, Mapping):
            for name in one:
                if not _KEY.fullmatch(name):
                    raise vllm.wrong(
                        "hf-overrides",
                        f"may not hold the key {name[:80]!r}: a key is letters, digits and "
                        "underscores, and does not begin with a digit",
                    )
            left += one.values()
    raise vllm.wrong("hf-overrides", f"has more than {_MOST_OVERRIDES} values")
