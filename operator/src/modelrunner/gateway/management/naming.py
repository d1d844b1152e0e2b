"""Names of Models that are made from references. Pure.

A Model claims its own name as a reference, too (`smollm2` is `ai/smollm2:latest`), so a name
that leaves something out of another reference would answer for a model that it is not. Hence
only `ai/` and `:latest` are left out, which `references.normalize` puts in.
"""

import hashlib
import re
from typing import Final

from modelrunner_protocol.references import HUB, key, locate

LONGEST: Final = 63
"""Characters of a name: it is a label's value and a Service's name."""

_DEFAULT_ORGANISATION: Final = "ai/"
_DEFAULT_TAG: Final = "latest"
_HASH: Final = 8
_DIGEST: Final = 12
_NOT_ALLOWED: Final = re.compile(r"[^a-z0-9]+")
_BEFORE_DIGITS: Final = "m-"


def model_name(reference: str) -> str:
    """`ai/smollm2:135M-Q4_0` → `smollm2-135m-q4-0`.

    Raises:
        ValueError: it is no reference; the message says why.
    """
    place = locate(reference)
    repository = place.repository
    if place.registry == HUB:
        repository = repository.removeprefix(_DEFAULT_ORGANISATION)
    tag = "" if place.tag == _DEFAULT_TAG else place.tag
    version = tag or place.digest.partition(":")[2][:_DIGEST]
    name = _NOT_ALLOWED.sub("-", f"{repository}-{version}".lower()).strip("-")
    if not name[:1].isalpha():
        # A Service of that name is made, and its name has to begin with a letter.
        name = _BEFORE_DIGITS + name
    return name if len(name) <= LONGEST else _hashed(name, reference)


def other_name(reference: str) -> str:
    """The name when `model_name` is taken by a Model of another reference.

    Raises:
        ValueError: as `model_name`.
    """
    return _hashed(model_name(reference), reference, again=True)


def _hashed(name: str, reference: str, *, again: bool = False) -> str:
    # A long name has a hash already: the second one must differ from it.
    start = _HASH if again else 0
    digest = hashlib.sha256(key(reference).encode()).hexdigest()[start : start + _HASH]
    return f"{name[: LONGEST - _HASH - 1].rstrip('-')}-{digest}"
