"""Templates of plain YAML, in which every value is written as JSON.

`{{ value }}` becomes JSON, and JSON is YAML: whatever a value holds (quotes, newlines, "{{",
"on", a megabyte), it stays one value in its place. So a template needs no quoting and no
filters, and no user can add a field to an object.
"""

import json
import re
from functools import lru_cache
from typing import Any, Final

import yaml
from jinja2 import PackageLoader, StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

# JSON allows these raw in a string; YAML takes them for line breaks or refuses them.
_NOT_YAML: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LONGEST_KEY: Final = 1000
# The parser in C gives the same result ten times sooner; it is not part of every installation.
_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RenderError(ValueError):
    """The settings cannot be written as an object; the message says which and why."""


def render(template: str, **values: Any) -> dict[str, Any]:
    """The object of a template (`deployment.yaml.j2` → "deployment").

    Raises:
        RenderError: a value is not JSON.
    """
    text = _template(template).render(values)
    try:
        found = yaml.load(text, Loader=_Loader)  # noqa: S506 - both are safe loaders
    except yaml.YAMLError as error:
        raise RenderError(f"the {template} cannot be written as YAML: {error}") from error
    if not isinstance(found, dict):
        raise RenderError(f"the {template} is not an object")
    return found


def to_json(value: Any) -> str:
    """A value as JSON that YAML reads as the same value.

    Raises:
        RenderError: not JSON (floats included, since 1e16 is a string in YAML), or a key longer
            than YAML allows.
    """
    _check(value)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _NOT_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _check(value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str) or len(key) > _LONGEST_KEY:
                raise RenderError(
                    f"{str(key)[:60]!r}… cannot be a key: at most {_LONGEST_KEY} letters"
                )
            _check(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check(inner)
    elif isinstance(value, str):
        _check_text(value)
    elif not isinstance(value, int | None):
        raise RenderError(f"{value!r} cannot be written: use a string or a whole number")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RenderError(f"{text[:60]!r} is not Unicode text: {error.reason}") from error


@lru_cache(maxsize=16)
def _template(name: str) -> Template:
    return _ENVIRONMENT.get_template(f"{name}.yaml.j2")


_ENVIRONMENT: Final = ImmutableSandboxedEnvironment(
    loader=PackageLoader("modelrunner.render"),
    undefined=StrictUndefined,
    finalize=to_json,
    autoescape=False,
    trim_blocks=True,
    lstrip_blocks=True,
)
# Jinja's own globals (`namespace`, `range`) would stand in for a value that was forgotten.
_ENVIRONMENT.globals.clear()
