"""Identity and names of sources."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner_protocol.sources import (
    artifact_key,
    describe,
    describe_url,
    file_name,
    parse_source,
    source_kind,
)
from modelrunner_protocol.wire import (
    AzureSource,
    ClaimSource,
    GcsSource,
    HttpSource,
    HuggingFaceSource,
    OciSource,
    S3Source,
    Source,
)


def _http(url: str, sha256: str = "") -> Source:
    return Source(http=HttpSource(url=url, sha256=sha256))


def _hub(repository: str, quantization: str = "") -> Source:
    hub = HuggingFaceSource(repository=repository, quantization=quantization)
    return Source(hugging_face=hub)


def test_keys_are_stable() -> None:
    """Golden: a key names claims and folders that outlive every version of the operator."""
    assert artifact_key(_http("https://h/m.gguf")) == "a2593bb61b241f4d"
    assert artifact_key(Source(claim=ClaimSource(claim="c", path="m.gguf"))) == "9b1069a86ab17911"
    assert artifact_key(Source(oci=OciSource(reference="ai/a:latest"))) == "20315ba6ae5ed359"
    assert artifact_key(Source(s3=S3Source(bucket="abc", prefix="m"))) == "e96d7eff21221f17"
    assert artifact_key(Source(gcs=GcsSource(bucket="abc", prefix="m"))) == "3e6a1d31d1ec2ec4"
    assert (
        artifact_key(Source(azure=AzureSource(account="acme", container="m"))) == "d7bf5809d9559e32"
    )


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
    hub = HuggingFaceSource(repository="a/B", quantization="Q8_0", revision="v1")
    assert describe(Source(hugging_face=hub)) == "hf.co/a/B:Q8_0 at v1"
    bucket = S3Source(bucket="b", prefix="a/m", quantization="Q8_0", endpoint="https://s:9000/")
    assert describe(Source(s3=bucket)) == "s3://b/a/m:Q8_0 at https://s:9000/"
    gcs = GcsSource(bucket="b_1", prefix="m.gguf")
    assert describe(Source(gcs=gcs)) == "gs://b_1/m.gguf"
    azure = AzureSource(account="acme", container="c", endpoint="https://u:p@s/acme?sig=x")
    assert describe(Source(azure=azure)) == "az://acme/c/ at https://s/acme"
    assert describe(Source()) == "no source"


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("https://h/a%20b.gguf?x=y", _http("https://h/a%20b.gguf?x=y")),
        ("hf.co/Acme/Tiny-GGUF", _hub("Acme/Tiny-GGUF")),
        ("huggingface.co/Acme/Tiny-GGUF:q8_0", _hub("Acme/Tiny-GGUF", "Q8_0")),
        ("HF.co/a/b:latest", _hub("a/b")),
        ("hf.co/a%2Fb", _hub("a/b")),
        (
            "s3://my-bucket/a/m.gguf/",
            Source(s3=S3Source(bucket="my-bucket", prefix="a/m.gguf", insecure=True)),
        ),
        ("s3://abc", Source(s3=S3Source(bucket="abc", insecure=True))),
        (
            "gs://my_bucket.acme/a/m/",
            Source(gcs=GcsSource(bucket="my_bucket.acme", prefix="a/m", insecure=True)),
        ),
        (
            "az://acme/models/a/m.gguf",
            Source(
                azure=AzureSource(
                    account="acme", container="models", prefix="a/m.gguf", insecure=True
                )
            ),
        ),
        (
            "az://acme/$web",
            Source(azure=AzureSource(account="acme", container="$web", insecure=True)),
        ),
        ("SmolLM2", Source(oci=OciSource(reference="ai/smollm2:latest", insecure=True))),
        ("r:5000/a/b:v1", Source(oci=OciSource(reference="r:5000/a/b:v1", insecure=True))),
    ],
)
def test_a_source_in_one_word(text: str, source: Source) -> None:
    """An address, a repository of the Hub with its capitals, a bucket, or a normalised reference."""
    assert parse_source(text, insecure=True) == source


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("https:///a", "not the address of a file"),
        ("hf.co/a", "write hf.co/owner/name:Q4_K_M"),
        ("hf.co/a/../b", "is not a repository"),
        ("s3://A_b/c", "write s3://bucket/folder"),
        ("s3:///c", "is not a bucket"),
        ("gs://B/c", "write gs://bucket/folder"),
        ("az://acme", "'' is not a container: write az://account/container/folder"),
        ("az://my-account/c-1", "'my-account' is not a storage account"),
        ("az://acme/a--b/c", "'a--b' is not a container"),
        ("../etc/passwd", "is not"),
        ("", "no reference"),
        ("a b", "no reference"),
        ("https://h/\udcff.gguf", "signs that no source has"),
        ("https://h/a\nb.gguf", "signs that no source has"),
    ],
)
def test_no_source(text: str, says: str) -> None:
    """The message says what is wrong with the word."""
    with pytest.raises(ValueError, match=says):
        parse_source(text)


def test_kinds_are_named_as_in_a_spec() -> None:
    """Metrics and people call a source as the Model does."""
    kinds = [
        source_kind(source)
        for source in (
            _http("https://h/m.gguf"),
            _hub("a/b"),
            Source(oci=OciSource(reference="ai/a:latest")),
            Source(s3=S3Source(bucket="abc")),
            Source(gcs=GcsSource(bucket="abc")),
            Source(azure=AzureSource(account="acme", container="abc")),
            Source(claim=ClaimSource(claim="c", path="m.gguf")),
            Source(),
        )
    ]
    assert kinds == [
        "http",
        "huggingFace",
        "oci",
        "s3",
        "gcs",
        "azure",
        "persistentVolumeClaim",
        "",
    ]
