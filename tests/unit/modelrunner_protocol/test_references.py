"""Model references: Docker Model Runner's own table, more spellings, and hostile text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner_protocol.references import LONGEST, Location, key, locate, normalize

_HEX = "0123456789abcdef" * 4

GOLDEN = [
    # docker/model-runner pkg/distribution/distribution/normalize_test.go, in its order.
    ("gemma3", "ai/gemma3:latest"),
    ("gemma3:v1", "ai/gemma3:v1"),
    ("myorg/model", "myorg/model:latest"),
    ("myorg/model:v2", "myorg/model:v2"),
    ("ai/gemma3:latest", "ai/gemma3:latest"),
    ("registry.example.com/model", "registry.example.com/model:latest"),
    ("registry.example.com/model:v1", "registry.example.com/model:v1"),
    ("registry.example.com/myorg/model:v1", "registry.example.com/myorg/model:v1"),
    ("1234567890ab", "1234567890ab"),
    (_HEX, _HEX),
    (f"sha256:{_HEX}", f"sha256:{_HEX}"),
    ("", ""),
    ("   ", ""),
    ("  gemma3  ", "ai/gemma3:latest"),
    ("model:", "ai/model:latest"),
    ("myorg/model:", "myorg/model:latest"),
    ("abc123", "ai/abc123:latest"),
    ("model-xyz", "ai/model-xyz:latest"),
    ("MyModel", "ai/mymodel:latest"),
    ("hf.co/org/model", "huggingface.co/org/model:latest"),
    ("hf.co/org/model:Q4_K_M", "huggingface.co/org/model:Q4_K_M"),
    ("huggingface.co/org/model", "huggingface.co/org/model:latest"),
    ("huggingface.co/org/model:Q4_K_M", "huggingface.co/org/model:Q4_K_M"),
]

IDENTITIES = [
    # The same file: what looks like an identity and what only nearly does.
    ("12345", "ai/12345:latest"),
    (f"{_HEX}0", f"ai/{_HEX}0:latest"),
    ("12345678xyz9", "ai/12345678xyz9:latest"),
    ("1234567890AB", "ai/1234567890ab:latest"),
    ("sha256:invalid", "ai/sha256:invalid"),
    ("sha256:", "ai/sha256:latest"),
]

SPELLINGS = [
    ("docker.io/ai/smollm2", "ai/smollm2:latest"),
    ("docker.io/smollm2", "ai/smollm2:latest"),
    ("index.docker.io/ai/smollm2:latest", "ai/smollm2:latest"),
    ("registry-1.docker.io/ai/smollm2", "ai/smollm2:latest"),
    ("Docker.IO/AI/SmolLM2:135M-Q4_0", "ai/smollm2:135M-Q4_0"),
    ("docker.io/docker.io/ai/x", "ai/x:latest"),
    ("ai%2Fsmollm2", "ai/smollm2:latest"),
    ("ai%2fsmollm2%3A135M-Q4_0", "ai/smollm2:135M-Q4_0"),
    ("HF.co/Bartowski/Llama-3.2-1B-Instruct-GGUF:Q8_0",
     "huggingface.co/bartowski/llama-3.2-1b-instruct-gguf:Q8_0"),
    ("localhost:5000/x", "localhost:5000/x:latest"),
    ("localhost:5000/x:v1", "localhost:5000/x:v1"),
    (f"ai/x@sha256:{_HEX}", f"ai/x@sha256:{_HEX}"),
    (f"docker.io/ai/X:v1@sha256:{_HEX}", f"ai/x@sha256:{_HEX}"),
    ("gpt-4o@2024", "ai/gpt-4o@2024:latest"),
    ("AI/SMOLLM2", "ai/smollm2:latest"),
    ("\tgemma3\r\n", "ai/gemma3:latest"),
]  # fmt: skip

HOSTILE = [
    "x" * (LONGEST + 1),
    " " * 10_000_000,
    "%2F" * 1000,
    "a\x00b",
    "a\nb",
    "a\x1b[2Jb",
    "a b",
    "%00",
    "%0a",
    "ai%252Fsmollm2",
    "ai/%",
    "modèle",
    "а",  # noqa: RUF001 - the Cyrillic letter is the point
    "\ud800",
    "../../etc/passwd\\",
    "https://example.com/x",
    "/ai/x",
    "ai//x",
    "ai/",
    ":latest",
    "docker.io/",
    "hf.co/",
    "{{ 7 * 7 }}",
    "'; drop table models; --",
]


@pytest.mark.parametrize(("text", "expected"), GOLDEN + IDENTITIES + SPELLINGS)
def test_spellings_of_one_name_become_one(text: str, expected: str) -> None:
    """Docker Model Runner's table holds, and so do the spellings that its clients send."""
    assert normalize(text) == key(text) == expected


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_no_reference(text: str) -> None:
    """What no alias could be is told apart at once, and nothing of it comes back."""
    assert normalize(text) == ""


@given(st.text(max_size=300))
def test_any_text_is_answered_with_a_name_of_known_characters(text: str) -> None:
    """Whatever is sent, the result is empty or plain ASCII without white space, and bounded."""
    found = normalize(text)
    assert found.isascii()
    assert found.isprintable()
    assert " " not in found
    assert len(found) <= 330


@given(st.from_regex(r"[A-Za-z0-9./:@_-]{1,40}", fullmatch=True))
def test_a_normalised_name_stays_as_it_is(text: str) -> None:
    """Normalising twice changes nothing, so a key may be looked up like a name."""
    found = normalize(text)
    assert normalize(found) == found


LOCATIONS: list[tuple[str, Location]] = [
    ("smollm2", Location("docker.io", "ai/smollm2", "latest")),
    ("ai/smollm2:135M-Q4_0", Location("docker.io", "ai/smollm2", "135M-Q4_0")),
    ("docker.io/AI/x", Location("docker.io", "ai/x", "latest")),
    ("ghcr.io/a/b/c:v1", Location("ghcr.io", "a/b/c", "v1")),
    ("localhost/a", Location("localhost", "a", "latest")),
    ("localhost:5000/a:v1", Location("localhost:5000", "a", "v1")),
    ("team/model.v2__x-y", Location("docker.io", "team/model.v2__x-y", "latest")),
    (
        f"r.example.com/a:v1@sha256:{'a' * 64}",
        Location("r.example.com", "a", digest=f"sha256:{'a' * 64}"),
    ),
]


@pytest.mark.parametrize(("text", "expected"), LOCATIONS)
def test_where_a_reference_leads(text: str, expected: Location) -> None:
    """Registry, repository and version, with Docker's defaults."""
    assert locate(text) == expected
    assert expected.version in {expected.tag, expected.digest}


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE,
        "",
        "a" * 12,
        "sha256:" + "a" * 64,
        "r.example.com:port/a",
        "-r.example.com/a",
        "a..b/c:v1",
        "r.example.com/a/../b",
        "a/_b",
        "a/b:-v",
        "a/b:" + "v" * 129,
        "a/b@sha256:abc",
    ],
)
def test_what_leads_nowhere(text: str) -> None:
    """Text that no registry could hold something under is an error with a message."""
    with pytest.raises(ValueError, match=r"is no reference|is not"):
        locate(text)


@given(st.text(max_size=80) | st.from_regex(r"[a-z0-9./:@_-]{1,60}", fullmatch=True))
def test_any_location_is_safe_in_a_url(text: str) -> None:
    """Whatever is located, its parts hold nothing that means something in a URL's path."""
    try:
        found = locate(text)
    except ValueError:
        return
    assert ".." not in found.repository.split("/")
    for part in (found.registry, found.repository, found.version):
        assert not set(part) & set("?#%&\\ @")
