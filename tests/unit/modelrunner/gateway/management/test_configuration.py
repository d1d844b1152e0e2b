"""A configuration and a spec, each from the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.api.v1alpha1 import ModelSpec
from modelrunner.gateway.management.configuration import (
    configuration_of,
    keep_alive_of,
    spec_of,
)
from modelrunner_protocol.configure import Configuration, Speculative
from tests.support.table_objects import JSON, Object

FULL = Configuration(
    context_size=4096,
    runtime_flags=("--temp", "0.2"),
    speculative=Speculative(draft_model="tiny", num_tokens=4, min_acceptance_rate=0.8),
    keep_alive=600.0,
    reasoning_budget=0,
)
SPEC = {
    "config": {
        "mode": "completion",
        "contextSize": 4096,
        "runtimeFlags": ["--temp", "0.2"],
        "speculative": {"draftModel": "tiny", "numTokens": 4, "minAcceptanceRate": 0.8},
        "llamacpp": {"reasoningBudget": 0},
    },
    "keepAlive": "10m0s",
}


def test_there_and_back() -> None:
    """In camelCase, as the schema has it."""
    assert spec_of(FULL, "completion") == SPEC
    assert configuration_of(SPEC) == FULL
    source = {"oci": {"reference": "ai/x"}}
    assert (
        ModelSpec.model_validate({"source": source, **SPEC}).to_dict()["config"] == SPEC["config"]
    )


def test_what_is_not_said_is_not_there() -> None:
    """Nothing owns a field that nobody asked for."""
    assert spec_of(Configuration()) == {}
    assert spec_of(Configuration(keep_alive=-1.0)) == {"keepAlive": "-1"}
    assert spec_of(Configuration(reasoning_budget=0)) == {
        "config": {"llamacpp": {"reasoningBudget": 0}}
    }
    assert configuration_of({}) == Configuration()


def test_raw_flags_are_read() -> None:
    """As the engine would get them."""
    raw = {"config": {"rawRuntimeFlags": "--temp '0.2'"}}
    assert configuration_of(raw).runtime_flags == ("--temp", "0.2")
    assert configuration_of({"config": {"rawRuntimeFlags": "'"}}).runtime_flags is None


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        ({"keepAlive": "0"}, 0.0),
        ({"keepAlive": "-1m"}, -1.0),
        ({"keepAlive": "x"}, None),
        ({}, None),
    ],
)
def test_keep_alive(spec: Object, seconds: float | None) -> None:
    """Seconds, or what the ModelRunner says."""
    assert keep_alive_of(spec) == seconds


@given(JSON, st.sampled_from(["contextSize", "runtimeFlags", "speculative", "llamacpp"]))
def test_any_spec_is_read(value: object, name: str) -> None:
    """What has the wrong type is not said."""
    configuration_of({"config": {name: value}, "keepAlive": value})
    configuration_of({"config": value})
