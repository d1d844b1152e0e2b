"""The models read what the API server holds, and say what is wrong where it is wrong."""

from typing import Any

import pytest
from pydantic import ValidationError

from modelrunner.api.errors import explain
from modelrunner.api.v1alpha1 import Model, ModelRunner, ModelStatus

SOURCE = {"http": {"url": "https://models.example.com/a.gguf"}}


def test_a_model_is_read_by_its_json_names() -> None:
    """CamelCase outside, snake_case inside; what is absent is None."""
    model = Model.model_validate(
        {
            "metadata": {"name": "a", "namespace": "ml", "generation": 3, "uid": "u"},
            "spec": {"source": SOURCE, "config": {"contextSize": 8, "runtimeFlags": ["-v"]}},
        }
    )
    assert model.metadata.generation == 3
    assert model.spec.config is not None
    assert model.spec.config.context_size == 8
    assert model.spec.keep_alive is None


def test_unknown_fields_are_ignored() -> None:
    """An object of a newer schema is read for what is known of it."""
    model = Model.model_validate(
        {"spec": {"source": {**SOURCE, "checksum": "x"}, "adapters": {}}, "later": 1}
    )
    assert model.spec.to_dict() == {"source": SOURCE}


def test_an_empty_runner_is_valid() -> None:
    """Every field of a ModelRunner has a default."""
    assert ModelRunner.model_validate({"metadata": {"name": "default"}}).spec.to_dict() == {}


def test_free_form_parts_come_back_as_they_were() -> None:
    """Nothing in podTemplate and affinity is renamed, reordered or dropped, null included."""
    spec: dict[str, Any] = {
        "podTemplate": {"spec": {"containers": [{"name": "runner", "some_key": None}], "x": 1}},
        "scheduling": {"affinity": {"nodeAffinity": {"a_b": [1, "2"]}}},
        "resources": {"limits": {"cpu": 2, "memory": "1Gi"}},
    }
    assert ModelRunner.model_validate({"spec": spec}).spec.to_dict() == spec


def test_a_status_is_written_without_what_is_not_known() -> None:
    """None is never written; an empty list of conditions is."""
    assert ModelStatus(phase="Pending").to_dict() == {"phase": "Pending", "conditions": []}


@pytest.mark.parametrize("value", ["0", "-1", "-5m", "5m", "1h30m", "0.5s"])
def test_keep_alive_forms(value: str) -> None:
    """Every form that the API server accepts is read."""
    spec = {"source": SOURCE, "keepAlive": value}
    assert Model.model_validate({"spec": spec}).spec.keep_alive == value


WRONG: list[tuple[type[Model | ModelRunner], Any, str]] = [
    (Model, {}, "spec: field required"),
    (Model, [], "the object: input should be a valid dictionary or instance of Model"),
    (Model, {"spec": {}}, "spec.source: field required"),
    (Model, {"spec": {"source": {}}}, "spec.source: set exactly one source"),
    (
        Model,
        {"spec": {"source": {**SOURCE, "persistentVolumeClaim": {"name": "a", "path": "b"}}}},
        "spec.source: set exactly one source",
    ),
    (
        Model,
        {"spec": {"source": {"s3": {"bucket": "abc", "endpoint": "http://s:9000"}}}},
        "spec.source.s3: an http:// endpoint lets everybody on the way read the weights",
    ),
    (
        Model,
        {"spec": {"source": {**SOURCE, "credentialsSecret": "s"}}},
        "spec.source: credentialsSecret holds the credentials of a registry, a token of the Hub or",
    ),
    (
        Model,
        {"spec": {"source": SOURCE, "config": {"runtimeFlags": [], "rawRuntimeFlags": ""}}},
        "spec.config: set runtimeFlags (a list) or rawRuntimeFlags (one line), not both",
    ),
    (
        Model,
        {"spec": {"source": SOURCE, "keepAlive": "abc"}},
        "spec.keepAlive: 'abc' is not a keep-alive: use a duration",
    ),
    (
        Model,
        {"spec": {"source": SOURCE, "aliases": ["a", 1]}},
        "spec.aliases[1]: input should be a valid string",
    ),
    (
        ModelRunner,
        {"spec": {"startupTimeout": "0s", "engine": "vllm"}},
        "spec.engine: input should be 'auto' or 'llama.cpp'; spec.startupTimeout: use a duration",
    ),
    (
        Model,
        {"spec": {"source": SOURCE, "scaling": {"minReplicas": 2, "maxReplicas": 1}}},
        "spec.scaling: minReplicas is more than maxReplicas",
    ),
    (
        ModelRunner,
        {"spec": {"drainTimeout": "soon"}},
        "spec.drainTimeout: 'soon' is not a duration",
    ),
    (
        ModelRunner,
        {"spec": {"env": [{"name": "A"}, {}]}},
        "spec.env[1].name: field required",
    ),
    (
        ModelRunner,
        {"spec": {"env": [{}] * 8}},
        "spec.env[4].name: field required; and 3 more",
    ),
]


@pytest.mark.parametrize(("kind", "body", "words"), WRONG, ids=lambda value: str(value)[:60])
def test_what_slipped_through_is_told_in_one_sentence(
    kind: type[Model | ModelRunner], body: Any, words: str
) -> None:
    """An object of an older schema ends as a sentence that names the field."""
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(body)
    assert words in explain(caught.value)
    assert "\n" not in explain(caught.value)
