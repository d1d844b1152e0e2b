"""The rules by which a podTemplate is laid over ours."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.render.overlay import lay_over

BASE: dict[str, Any] = {
    "securityContext": {"runAsUser": 65532, "fsGroup": 65532},
    "tolerations": [{"key": "a"}],
    "containers": [
        {
            "name": "runner",
            "image": "i",
            "args": ["run"],
            "env": [{"name": "A", "value": "1"}],
            "volumeMounts": [{"name": "cache", "mountPath": "/models"}],
            "ports": [{"name": "http", "containerPort": 8080}],
        }
    ],
    "volumes": [{"name": "tmp", "emptyDir": {}}],
}
RUNNER = BASE["containers"][0]


def runner(**fields: Any) -> dict[str, Any]:
    """The overlay of the runner's container, and the container that comes out."""
    found = lay_over(BASE, {"containers": [{"name": "runner", **fields}]})["containers"]
    assert len(found) == 1
    result: dict[str, Any] = found[0]
    return result


def test_objects_merge_and_null_removes() -> None:
    """Field by field."""
    found = lay_over(BASE, {"securityContext": {"runAsUser": 1, "fsGroup": None}})
    assert found["securityContext"] == {"runAsUser": 1}
    assert lay_over(BASE, {"volumes": None}).get("volumes") is None


def test_containers_merge_by_name_and_others_are_added() -> None:
    """The runner keeps what the overlay does not name."""
    side = {"name": "side", "image": "s"}
    found = lay_over(BASE, {"containers": [side, {"name": "runner", "image": "j"}]})
    assert found["containers"] == [RUNNER | {"image": "j"}, side]


def test_variables_are_replaced_whole() -> None:
    """Value and valueFrom never meet."""
    given_ = {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}
    assert runner(env=[given_, {"name": "B", "value": "2"}])["env"] == [
        given_,
        {"name": "B", "value": "2"},
    ]


@pytest.mark.parametrize(
    ("field", "item"),
    [
        ("volumeMounts", {"name": "x", "mountPath": "/x"}),
        ("ports", {"name": "debug", "containerPort": 9}),
    ],
)
def test_lists_with_keys_grow(field: str, item: dict[str, Any]) -> None:
    """What has another key is added behind ours."""
    assert runner(**{field: [item]})[field] == [*RUNNER[field], item]


def test_other_lists() -> None:
    """Tolerations are appended once; arguments are replaced."""
    found = lay_over(BASE, {"tolerations": [{"key": "b"}, {"key": "a"}]})
    assert found["tolerations"] == [{"key": "a"}, {"key": "b"}]
    assert runner(args=["x"])["args"] == ["x"]


def test_nothing_is_changed_in_place() -> None:
    """Base and overlay are values."""
    before = repr(BASE)
    lay_over(BASE, {"containers": [{"name": "runner", "env": [{"name": "A"}]}], "volumes": []})
    assert repr(BASE) == before


JSON = st.recursive(
    st.text(max_size=3) | st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "env", "containers", "x", "ip"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(
    st.sampled_from(["containers", "env", "x", "tolerations"]), JSON, max_size=3
)


@given(OBJECTS, OBJECTS)
def test_laid_over_twice_is_laid_over_once(base: dict[str, Any], overlay: dict[str, Any]) -> None:
    """Any JSON can be laid over any other, and the result is stable."""
    once = lay_over(base, overlay)
    assert lay_over(once, overlay) == once
