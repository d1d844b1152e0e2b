"""Identity and names of sources."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner_protocol.sources import artifact_key, describe, describe_url, file_name
from modelrunner_protocol.wire import ClaimSource, HttpSource, OciSource, Source


def _http(url: str, sha256: str = "") -> Source:
    return Source(http=HttpSource(url=url, sha256=sha256))


def test_keys_are_stable() -> None:
    """Golden: a key names claims and folders that outlive every version of the operator."""
    assert artifact_key(_http("https://h/m.gguf")) == "a2593bb61b241f4d"
    assert artifact_key(Source(claim=ClaimSource(claim="c", path="m.gguf"))) == "9b1069a86ab17911"
    assert artifact_key(Source(oci=OciSource(reference="ai/a:latest"))) == "20315ba6ae5ed359"


def test_equal_sources_share_a_key() -> None:
    """The key depends on the source and on all of it."""
    keys = {
        artifact_key(source)
        for source in (
            _http("https://h/m.gguf"),
            _http("https://h/m.gguf"),
            _http("https://h/m.gguf", "ab" * 32),
            _http("https://h/m.gguf?v=2"),
            _http("http://h/m.gguf"),
            Source(claim=ClaimSource(claim="c", path="m.gguf")),
            Source(claim=ClaimSource(claim="c2", path="m.gguf")),
            Source(oci=OciSource(reference="ai/a:latest")),
            Source(oci=OciSource(reference="ai/a:other")),
        )
    }
    assert len(keys) == 8
    assert all(re.fullmatch(r"[0-9a-f]{16}", key) for key in keys)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h/a/b/SmolLM2.Q4_1.gguf", "SmolLM2.Q4_1.gguf"),
        ("https://h/m.gguf?x=/y.gguf#/z", "m.gguf"),
        ("https://h/", "model.gguf"),
        ("https://h", "model.gguf"),
        ("https://h/..", "model.gguf"),
        ("https://h/%2e%2e", "model.gguf"),
        ("https://h/a%2Fb.gguf", "b.gguf"),
        ("https://h/.hidden", "hidden"),
        ("https://h/manifest.json", "model.gguf"),
        ("https://h/-rf", "rf"),
        ("https://h/my%20model%00.gguf", "my-model-.gguf"),
        ("https://h/modèle.gguf", "mod-le.gguf"),
        ("http://[::1/m.gguf", "model.gguf"),
    ],
)
def test_file_name(url: str, name: str) -> None:
    """The name is the URL's last segment, without anything that means something to a shell."""
    assert file_name(HttpSource(url=url)) == name


@given(st.text(max_size=300))
def test_any_url_has_a_safe_name(text: str) -> None:
    """No URL makes a name that leads elsewhere or hides."""
    name = file_name(HttpSource(url=f"http://h/{text}"))
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", name)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://user:pass@h:8443/a/m.gguf?token=x#y", "https://h:8443/a/m.gguf"),
        ("http://h", "http://h"),
        ("http://[::1]:80/m", "http://[::1]:80/m"),
        ("https://a@b@h/m", "https://h/m"),
        ("http://h:port/m", "http://h:port/m"),
        ("http://[::1/m", "a URL without a host"),
        ("", "a URL without a host"),
    ],
)
def test_describe_url_tells_no_secret(url: str, text: str) -> None:
    """User, query and fragment are left out, and no text is too odd."""
    assert describe_url(url) == text


def test_describe() -> None:
    """Each kind of source has its words."""
    assert describe(_http("https://u:p@h/m?q")) == "https://h/m"
    assert (
        describe(Source(claim=ClaimSource(claim="c", path="a/m.gguf")))
        == "a/m.gguf on the PersistentVolumeClaim c"
    )
    assert describe(Source(oci=OciSource(reference="ai/a:latest"))) == "ai/a:latest"
    assert describe(Source()) == "no source"
