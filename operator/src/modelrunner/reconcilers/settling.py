"""Whether an object is as it is wanted."""

from collections.abc import Mapping
from typing import Any

from modelrunner.domain import naming
from modelrunner.domain.objects import Object, annotation
from modelrunner.kube.comparison import covers


def settled(observed: Object, wanted: Mapping[str, Any]) -> bool:
    """Whether an object is as it is wanted, by its hash and field by field."""
    return same(observed, wanted, naming.RENDERED_ANNOTATION) and covers(observed, wanted)


def same(observed: Object, wanted: Mapping[str, Any], name: str) -> bool:
    """Whether both have the same value of an annotation."""
    return annotation(observed, name) == annotation(wanted, name)
