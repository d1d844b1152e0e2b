"""`runnerd import` finds the key that the operator gives a Model with the same source."""

from typing import Any

import pytest

from modelrunner.api.v1alpha1 import ModelSource
from modelrunner.domain.sources import wire_source
from modelrunner_protocol.sources import artifact_key, parse_source
from runnerd.weights.spec_source import source_of_spec

SOURCES: list[dict[str, Any]] = [
    {"http": {"url": "https://host/m.gguf"}},
    {"http": {"url": "https://host/m.gguf?x=1", "sha256": "ab" * 32}},
    {"oci": {"reference": "ai/smollm2"}},
    {"oci": {"reference": "AI/SmolLM2:v1", "credentialsSecret": "mine"}},
    {"oci": {"reference": "localhost:5000/m", "insecure": True}},
    {"oci": {"reference": "ghcr.io/a/b@sha256:" + "0" * 64, "insecure": False}},
    {"huggingFace": {"repository": "Owner/Name"}},
    {"huggingFace": {"repository": "Owner/Name", "quantization": "q4_k_m", "revision": "main"}},
    {
        "huggingFace": {
            "repository": "o/n",
            "files": ["*.gguf"],
            "ignoredFiles": ["*imatrix*"],
            "credentialsSecret": "mine",
        }
    },
    {"s3": {"bucket": "models", "prefix": "a/b", "endpoint": "https://s3.example.com/"}},
    {"s3": {"bucket": "models", "region": "eu-1", "quantization": "q8_0", "insecure": True}},
    {"gcs": {"bucket": "models", "prefix": "a/b", "quantization": "q8_0"}},
    {"azure": {"account": "acc", "container": "models", "endpoint": "https://blobs.example.com/"}},
]


@pytest.mark.parametrize("spec", SOURCES, ids=str)
def test_a_spec_is_read_as_the_operator_reads_it(spec: dict[str, Any]) -> None:
    """Each kind, with each spelling that stands for another."""
    key = artifact_key(wire_source(ModelSource.model_validate(spec)))
    assert artifact_key(source_of_spec(spec)) == key
    assert artifact_key(source_of_spec({"kind": "Model", "spec": {"source": spec}})) == key
    refreshed = {**spec, "refresh": "1h"}
    assert artifact_key(source_of_spec(refreshed)) == key


@pytest.mark.parametrize(
    ("word", "spec"),
    [
        ("https://host/m.gguf", {"http": {"url": "https://host/m.gguf"}}),
        ("ai/SmolLM2", {"oci": {"reference": "ai/smollm2:latest"}}),
        (
            "hf.co/Owner/Name:q4_k_m",
            {"huggingFace": {"repository": "Owner/Name", "quantization": "Q4_K_M"}},
        ),
        ("s3://models/a/b/", {"s3": {"bucket": "models", "prefix": "a/b"}}),
        ("gs://models/a", {"gcs": {"bucket": "models", "prefix": "a"}}),
        ("az://acc/models/a", {"azure": {"account": "acc", "container": "models", "prefix": "a"}}),
    ],
)
def test_a_word_has_the_key_of_its_spec(word: str, spec: dict[str, Any]) -> None:
    """As people write it on the command line, and in a Model."""
    key = artifact_key(wire_source(ModelSource.model_validate(spec)))
    assert artifact_key(parse_source(word)) == key


def test_insecure_is_part_of_the_key() -> None:
    """A Model that says so has another key."""
    spec = {"oci": {"reference": "localhost:5000/m", "insecure": True}}
    key = artifact_key(wire_source(ModelSource.model_validate(spec)))
    assert artifact_key(parse_source("localhost:5000/m", insecure=True)) == key
    assert artifact_key(parse_source("localhost:5000/m")) != key
