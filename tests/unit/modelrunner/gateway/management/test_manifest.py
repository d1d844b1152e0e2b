"""Models as the API makes them, and whose a Model is."""

import pytest

from modelrunner.api.v1alpha1 import Model
from modelrunner.gateway.management.manifest import (
    LABEL,
    LABEL_VALUE,
    made_here,
    manifest,
    other_names,
    reference_of,
    removable,
    source_of,
)
from tests.support.table_objects import Object, model

HERE = {LABEL: LABEL_VALUE}


def of(reference: str, *aliases: str) -> Object:
    """A Model of an artifact."""
    spec = {"source": {"oci": {"reference": reference}}}
    return model("ml/smollm2", aliases=aliases, spec=spec)


def test_a_new_model() -> None:
    """Its reference is its source and its alias; the label says who made it."""
    made = manifest("AI/SmolLM2", namespace="ml", name="smollm2", runner="default", insecure=())
    assert made == {
        "apiVersion": "modelrunner.dev/v1alpha1",
        "kind": "Model",
        "metadata": {"namespace": "ml", "name": "smollm2", "labels": HERE},
        "spec": {
            "source": {"oci": {"reference": "ai/smollm2:latest"}},
            "aliases": ["ai/smollm2:latest"],
        },
    }
    assert Model.model_validate(made).to_dict()["spec"] == made["spec"]
    assert made_here(made)
    assert not made_here(model())
    other = manifest(
        "localhost:5000/a/b:v1", namespace="ml", name="b", runner="gpu", insecure={"localhost:5000"}
    )
    assert other["spec"]["runner"] == "gpu"
    assert other["spec"]["source"]["oci"]["insecure"] is True


@pytest.mark.parametrize(
    ("reference", "source"),
    [
        ("hf.co/Owner/Name", {"huggingFace": {"repository": "Owner/Name"}}),
        (
            "huggingface.co/Owner/Name:Q8_0",
            {"huggingFace": {"repository": "Owner/Name", "quantization": "Q8_0"}},
        ),
        ("ai/x:v1", {"oci": {"reference": "ai/x:v1"}}),
    ],
)
def test_sources(reference: str, source: Object) -> None:
    """Hugging Face has a source of its own; each is known again by its reference."""
    assert source_of(reference) == source
    spec = {"source": source}
    assert reference_of(spec) == reference_of({"source": source_of(reference_of(spec))})


def test_what_may_be_taken_away_alone() -> None:
    """An alias that is neither the Model's name nor what it was made from."""
    found = of("ai/smollm2:latest", "ai/smollm2:latest", "mine", "team/x:v1")
    assert removable(found, "docker.io/team/x:v1") == "team/x:v1"
    assert removable(found, "ai/mine") == "mine"
    for name in ("smollm2", "ai/smollm2", "ml/smollm2", "nobody", "", "sha256:" + "0" * 64):
        assert removable(found, name) == ""
    assert other_names(found) == ["mine", "team/x:v1"]
    assert other_names(of("ai/smollm2", "ai/smollm2:latest")) == []


def test_other_sources_have_no_reference() -> None:
    """And anything else is no Model's spec."""
    for spec in (model()["spec"], {}, None, {"source": 3}, {"source": {"oci": {"reference": 3}}}):
        assert reference_of(spec) == ""
