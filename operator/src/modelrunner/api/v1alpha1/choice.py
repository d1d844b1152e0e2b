"""How a Model names one of several models at a place."""

from typing import Annotated

from pydantic import Field

from modelrunner.api.annotations import Rule, Rules, list_type, matches

Patterns = (
    Annotated[
        list[Annotated[str, Field(min_length=1, max_length=255)]],
        Field(max_length=16),
        list_type("atomic"),
    ]
    | None
)
Quantization = (
    Annotated[
        str,
        Field(max_length=64),
        Rules(
            Rule(
                matches("^[A-Za-z0-9][A-Za-z0-9_-]*$"),
                "use the word in the file's name, such as Q4_K_M",
            )
        ),
    ]
    | None
)
