"""Names of Models out of references."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.api.v1alpha1.common import DNS_LABEL
from modelrunner.gateway.management.naming import LONGEST, model_name, other_name
from modelrunner_protocol.references import key

PARTS = st.text("aB7._-", min_size=1, max_size=30)
TAGS = st.text("aB7._-", max_size=130)


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("ai/smollm2", "smollm2"),
        ("smollm2", "smollm2"),
        ("docker.io/ai/SmolLM2:latest", "smollm2"),
        ("ai/smollm2:135M-Q4_0", "smollm2-135m-q4-0"),
        ("myorg/model", "myorg-model"),
        ("registry.example.com/team/model:v1", "team-model-v1"),
        ("localhost:5000/ai/smollm2", "ai-smollm2"),
        ("hf.co/Owner/Name-GGUF:Q4_K_M", "owner-name-gguf-q4-k-m"),
        ("ai/x@sha256:" + "ab" * 32, "x-abababababab"),
        ("ai/7b", "m-7b"),
    ],
)
def test_names(reference: str, name: str) -> None:
    """Only what `references.normalize` puts in is left out."""
    assert model_name(reference) == name


@given(
    st.lists(PARTS, min_size=1, max_size=4).map("/".join),
    st.none() | TAGS,
)
def test_every_name_is_a_label(path: str, tag: str | None) -> None:
    """Both of a reference's names can be those of a Model and of its Service."""
    reference = path if tag is None else f"{path}:{tag}"
    try:
        names = (model_name(reference), other_name(reference))
    except ValueError:
        return
    for name in names:
        assert re.fullmatch(DNS_LABEL.strip("^$"), name)
        assert len(name) <= LONGEST
        assert name[0].isalpha()
    assert names[0] != names[1]


def test_equal_references_have_equal_names() -> None:
    """Whatever the spelling; other references have other second names."""
    spellings = ("ai/smollm2", "AI/SmolLM2:latest", "index.docker.io/ai/smollm2", "ai%2Fsmollm2")
    assert len({key(one) for one in spellings}) == 1
    assert len({model_name(one) for one in spellings}) == 1
    assert len({other_name(one) for one in spellings}) == 1
    assert other_name("a/b-c") != other_name("a-b/c")
    assert model_name("a/b-c") == model_name("a-b/c") == "a-b-c"


@pytest.mark.parametrize("text", ["", "UPPER:::bad ref", "../x", "sha256:" + "0" * 64, "a" * 600])
def test_no_reference(text: str) -> None:
    """It is said."""
    with pytest.raises(ValueError, match=r"reference|registry"):
        model_name(text)
