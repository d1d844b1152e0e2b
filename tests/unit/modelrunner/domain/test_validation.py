"""What the API server cannot check."""

from dataclasses import replace
from typing import Any

import pytest

from modelrunner.api.v1alpha1 import Model
from modelrunner.domain.validation import ConfigurationError, check, check_runner, read
from tests.unit.modelrunner.domain.settings_of import HTTP, settings_of


@pytest.mark.parametrize(
    ("spec", "runner", "words"),
    [
        ({"config": {"runtimeFlags": ["--model", "x"]}}, {}, '"--model" is not allowed'),
        ({"config": {"rawRuntimeFlags": "--temp /etc"}}, {}, "path separator"),
        ({"config": {"runtimeFlags": ["--log-file=x"]}}, {}, '"--log-file" is not allowed'),
        ({}, {"env": [{"name": "A", "value": "{{ nope }}"}]}, "ModelRunner gpu: spec.env[0].value"),
        (
            {},
            {"podTemplate": {"metadata": {"labels": {"a": "{{ nope }}"}}}},
            "spec.podTemplate.metadata.labels.a",
        ),
        ({}, {"podTemplate": {"spec": {"containers": [{}]}}}, "needs a name"),
        ({"config": {"mode": "image-generation"}}, {}, "no engine here makes images"),
        (
            {"config": {"mode": "embedding", "runtimeFlags": ["--reranking"]}},
            {},
            "mode is embedding, but a runtime flag starts the engine for reranking: set mode:",
        ),
        (
            {"config": {"mode": "completion", "rawRuntimeFlags": "--embeddings"}},
            {},
            "set mode: embedding",
        ),
        ({"config": {"speculative": {"draftModel": "m"}}}, {}, "it names this Model"),
        (
            {"config": {"speculative": {"draftModel": "d"}, "runtimeFlags": ["--rerank"]}},
            {},
            "spec.config.speculative: only a model in mode completion uses a draft",
        ),
        (
            {"scaling": {"maxReplicas": 2}},
            {"scaling": {"minReplicas": 3}},
            "and ModelRunner gpu together, minReplicas 3 is more than maxReplicas 2",
        ),
    ],
)
def test_settings_that_cannot_be_used(
    spec: dict[str, Any], runner: dict[str, Any], words: str
) -> None:
    """InvalidConfiguration with the place and the mend."""
    with pytest.raises(ConfigurationError) as caught:
        check(settings_of(HTTP | spec, runner))
    assert words in caught.value.problem.message
    assert caught.value.problem.reason == "InvalidConfiguration"


@pytest.mark.parametrize("name", ["x" * 64, "a.b", "A"])
def test_a_name_that_no_service_can_have(name: str) -> None:
    """It is told before anything is pulled."""
    with pytest.raises(ConfigurationError, match="under a name of at most 63"):
        check(replace(settings_of(), name=name))


def test_settings_that_can() -> None:
    """Nothing is said."""
    check(settings_of(HTTP | {"config": {"runtimeFlags": ["--temp", "0.2"]}}))
    check(settings_of(HTTP | {"config": {"runtimeFlags": ["--reranking"], "mode": "reranking"}}))
    check(settings_of(HTTP | {"config": {"speculative": {"draftModel": "d"}}}))
    check_runner([{"name": "A", "value": "{{ model.name }}"}], {})


def test_several_faults_are_told_together() -> None:
    """Up to three, so that they can be mended in one go."""
    with pytest.raises(ConfigurationError) as caught:
        check_runner([{"name": "A", "value": "{{ a }}"}], {"spec": {"volumes": 1, "affinity": 1}})
    assert str(caught.value).count(";") >= 2


def test_an_object_of_another_schema() -> None:
    """What an older schema let in is told with its field."""
    with pytest.raises(ConfigurationError, match="source"):
        read(Model, {"metadata": {}, "spec": {"source": {}}})
