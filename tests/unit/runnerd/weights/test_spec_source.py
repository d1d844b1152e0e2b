"""The source of a Model object; its keys are compared in tests/contract/test_imported_keys.py."""

from typing import Any

import pytest

from runnerd.weights.spec_source import source_of_spec


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
