"""What the models of both kinds are made of."""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from modelrunner.api.annotations import Rule, Rules, matches
from modelrunner_protocol.durations import (
    DURATION_PATTERN,
    KEEP_ALIVE_PATTERN,
    parse_duration,
    parse_keep_alive,
)

GROUP: Final = "modelrunner.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

DNS_LABEL: Final = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
DNS_SUBDOMAIN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
LONGEST_TIMEOUT: Final = "24h"
SHORTEST_PERIOD: Final = "1m"

# Numbers beyond these overflow CEL's duration(), which fails the rule without its message.
_HUGE: Final = r"(^|[a-z])([0-9]{8}|[0-9]{6,}(\.[0-9]+)?h)"


class ApiModel(BaseModel):
    """Base of all API types: camelCase outside, snake_case inside, immutable.

    Unknown fields are ignored, because the API server may hold objects of a newer schema.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
        extra="ignore",
        frozen=True,
    )

    def to_dict(self) -> dict[str, Any]:
        """The JSON object as the API server has it, without fields that are None."""
        return self.model_dump(mode="json", exclude_none=True)


class ObjectMeta(ApiModel):
    """The part of an object's metadata that the operator reads."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


def _timeout(text: str) -> str:
    if not 0 < parse_duration(text) <= parse_duration(LONGEST_TIMEOUT):
        raise ValueError(f"use a duration longer than 0 and at most {LONGEST_TIMEOUT}")
    return text


def _period(text: str) -> str:
    if parse_duration(text) < parse_duration(SHORTEST_PERIOD):
        raise ValueError(f"use a duration of at least {SHORTEST_PERIOD}")
    return text


def _keep_alive(text: str) -> str:
    parse_keep_alive(text)
    return text


Timeout = Annotated[
    str,
    Field(max_length=32),
    AfterValidator(_timeout),
    Rules(
        Rule(matches(DURATION_PATTERN), 'use a duration such as "30s", "5m" or "1h30m"'),
        Rule(
            f"!{matches(DURATION_PATTERN)} || (!{matches(_HUGE)}"
            f" && duration(self) > duration('0s') && duration(self) <= duration('{LONGEST_TIMEOUT}'))",
            f"use a duration longer than 0 and at most {LONGEST_TIMEOUT}",
        ),
    ),
]
"""A Go duration between 0 (exclusive) and 24 hours."""

Period = Annotated[
    str,
    Field(max_length=32),
    AfterValidator(_period),
    Rules(
        Rule(matches(DURATION_PATTERN), 'use a duration such as "10m", "24h" or "168h"'),
        Rule(
            f"!{matches(DURATION_PATTERN)} || (!{matches(_HUGE)}"
            f" && duration(self) >= duration('{SHORTEST_PERIOD}'))",
            f"use a duration of at least {SHORTEST_PERIOD}, and of less than 100000 hours",
        ),
    ),
]
"""A Go duration of a minute or more."""

KeepAlive = Annotated[
    str,
    Field(max_length=32),
    AfterValidator(_keep_alive),
    Rules(
        Rule(
            matches(KEEP_ALIVE_PATTERN),
            'use a duration such as "30s", "5m" or "1h30m", "0" to unload as soon as idle, '
            'or "-1" to keep the model loaded',
        )
    ),
]
"""A Go duration, "0" or a negative one."""

LabelName = Annotated[
    str,
    # Longer than the rule allows: beyond this bound the API server does not ask the rule, and its
    # own message says less.
    Field(max_length=253),
    Rules(
        Rule(
            matches(DNS_LABEL),
            'use at most 63 lower-case letters, digits and "-", with a letter or digit at both ends',
        )
    ),
]
"""The name of an object that also has to fit into a label."""

ObjectName = Annotated[
    str,
    Field(max_length=253),
    Rules(
        Rule(
            matches(DNS_SUBDOMAIN),
            'use the name of an object: lower-case letters, digits, "-" and "."',
        )
    ),
]
"""The name of an object in the same namespace."""
