"""Settings of a process, read from its environment: strict, one clear line for each mistake."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError

_PREFIX: Final = "MODELRUNNER_"
# What the kubelet sets for a Service whose name begins like our variables.
_SERVICE_LINK: Final = re.compile(r"_(SERVICE_HOST|SERVICE_PORT|PORT)(_\w+)?$")
_SERVICE_ADDRESS: Final = re.compile(r"(tcp|udp|sctp)://")


class ConfigError(Exception):
    """A setting is missing or wrong; the message is one line that names the variable."""


def _separated(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Name = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)
]
Names = Annotated[tuple[Name, ...], BeforeValidator(_separated)]
"""Comma-separated."""

Words = Annotated[tuple[str, ...], BeforeValidator(_separated)]
"""Comma-separated."""

LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)]


class ProcessSettings(BaseModel):
    """Everything a process can be told. The alias of each field is its variable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings. An empty variable counts as not set.

        Raises:
            ConfigError: a variable is unknown to us (MODELRUNNER_*), missing or has a bad value.
        """
        known = {field.alias for field in cls.model_fields.values()}
        ours = {
            name: value.strip() for name, value in environment.items() if not _link(name, value)
        }
        unknown = [name for name in ours if name.startswith(_PREFIX) and name not in known]
        if unknown := [name for name in unknown if not _SERVICE_LINK.search(name)]:
            raise ConfigError(f"{min(unknown)}: no such setting")
        given: dict[str, Any] = {name: ours[name] for name in ours if name in known and ours[name]}
        try:
            return cls(**given)
        except ValidationError as error:
            raise ConfigError(_first(error)) from error


def _link(name: str, value: str) -> bool:
    """Whether the kubelet wrote it: a Service `x-http` makes X_HTTP_PORT=tcp://10.0.0.1:80."""
    return bool(_SERVICE_LINK.search(name) and _SERVICE_ADDRESS.match(value))


def _first(error: ValidationError) -> str:
    """The first complaint as one line: variable, what is wrong, what was given."""
    found = error.errors(include_url=False)[0]
    where = str(found["loc"][0]) if found["loc"] else ""
    what = str(found["msg"]).removeprefix("Value error, ")
    if found["type"] == "missing":
        return f"{where}: must be set"
    return f"{where}: {what} (got {found['input']!r})" if where else what
