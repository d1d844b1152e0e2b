"""Hashes of objects."""

from modelrunner.domain.naming import RENDERED_ANNOTATION
from modelrunner.render.hashing import digest, sealed


def test_the_order_of_keys_does_not_matter() -> None:
    """Two ways to write one value have one hash."""
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_a_seal_changes_with_the_object() -> None:
    """And does not depend on itself."""
    one = sealed({"metadata": {"name": "x"}, "spec": 1})
    two = sealed({"metadata": {"name": "x"}, "spec": 2})
    seals = [each["metadata"]["annotations"][RENDERED_ANNOTATION] for each in (one, two)]
    assert seals[0] != seals[1]
