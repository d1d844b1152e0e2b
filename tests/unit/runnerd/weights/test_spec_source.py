"""The source of a Model object; its keys are compared in tests/contract/test_imported_keys.py."""

from typing import Any

import pytest

from modelrunner_protocol.sources import artifact_key
from runnerd.weights.spec_source import keys_of_models, source_of_spec


@pytest.mark.parametrize(
    "found",
    [
        None,
        [],
        "ai/smollm2",
        {},
        {"spec": {}},
        {"oci": "ai/smollm2"},
        {"oci": {"reference": "a"}, "http": {"url": "https://h/m"}},
        {"persistentVolumeClaim": {"name": "c", "path": "m.gguf"}},
        {"oci": {}},
        {"http": {"url": 7}},
        {"huggingFace": {"repository": "o/n", "quantization": 4}},
    ],
)
def test_what_is_no_source_is_refused(found: Any) -> None:
    """In words, and never with a guess."""
    with pytest.raises(ValueError, match=r"source|reference|url|quantization"):
        source_of_spec(found)


def test_what_models_want() -> None:
    """Of each the source as its spec names it, and the versions that its status names."""
    oci = {"oci": {"reference": "ai/smollm2"}}
    claim = {"persistentVolumeClaim": {"name": "c", "path": "m.gguf"}}
    models = [
        {"spec": {"source": oci}, "status": {"source": {"key": "new", "superseded": ["old"]}}},
        {"spec": {"source": {**oci, "refresh": "1h"}}, "status": {}},
        {"spec": {"source": claim}},
    ]
    key = artifact_key(source_of_spec(oci))
    assert keys_of_models({"items": models}) == {key, "new", "old"}
    assert keys_of_models(models[1]) == {key}
    assert keys_of_models({"items": []}) == set()


@pytest.mark.parametrize(
    "found", [None, [], {"items": 7}, {"items": [7]}, {"items": [{"spec": {"source": {}}}]}]
)
def test_models_that_cannot_be_read_keep_nothing_from_being_lost(found: Any) -> None:
    """Nobody knows what they want: that is an error, never an empty list."""
    with pytest.raises(ValueError, match=r"Models|source"):
        keys_of_models(found)
