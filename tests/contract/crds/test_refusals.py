"""What a user may not write is refused by the API server, in words that say what to change."""

from typing import Any

import pytest

from tests.contract.crds.conftest import model
from tests.contract.crds.references import NO_REFERENCES
from tests.support.kubeapi import KubeApi, Refused

MODEL_NAME = "the name of a Model also names its Service: use at most 63 lower-case letters"

HTTP = {"http": {"url": "https://models.example.com/a.gguf"}}
CLAIM = {"persistentVolumeClaim": {"name": "models", "path": "a.gguf"}}
ONE_SOURCE = "spec.source: Invalid value: set exactly one source: oci"
OCI = {"oci": {"reference": "ai/a"}}
SECRET = "credentialsSecret holds the credentials of a registry, a token of the Hub or the keys of a bucket"
HUB = {"huggingFace": {"repository": "acme/m-GGUF"}}
REFERENCE = 'use a reference such as "ai/smollm2:135M-Q4_0"'
USERINFO = "the URL holds a user name or password"
SHA256 = "use the 64 lower-case hexadecimal digits that sha256sum prints"
PATH = "use a path below the volume's root"
KEEP_ALIVE = 'use a duration such as "30s", "5m" or "1h30m", "0" to unload as soon as idle'
SCALING = "minReplicas is more than maxReplicas: lower the one or raise the other"
LABEL = 'use at most 63 lower-case letters, digits and "-"'


def url(address: str) -> dict[str, Any]:
    """A Model's spec with this address."""
    return {"source": {"http": {"url": address}}}


def oci(reference: str) -> dict[str, Any]:
    """A Model's spec with this reference."""
    return {"source": {"oci": {"reference": reference}}}


def hub(**fields: Any) -> dict[str, Any]:
    """A Model's spec with a repository of the Hub."""
    return {"source": {"huggingFace": HUB["huggingFace"] | fields}}


def s3(**fields: Any) -> dict[str, Any]:
    """A Model's spec with a bucket."""
    return {"source": {"s3": {"bucket": "models"} | fields}}


def gcs(**fields: Any) -> dict[str, Any]:
    """A Model's spec with a bucket of Google's."""
    return {"source": {"gcs": {"bucket": "models"} | fields}}


def azure(**fields: Any) -> dict[str, Any]:
    """A Model's spec with a container."""
    return {"source": {"azure": {"account": "acme", "container": "models"} | fields}}


def sha256(digest: str) -> dict[str, Any]:
    """A Model's spec with this digest."""
    return {"source": {"http": {**HTTP["http"], "sha256": digest}}}


def path(value: str) -> dict[str, Any]:
    """A Model's spec with this path on a claim."""
    return {"source": {"persistentVolumeClaim": {"name": "models", "path": value}}}


def config(**fields: Any) -> dict[str, Any]:
    """A Model's spec with this config."""
    return {"source": HTTP, "config": fields}


MODELS: list[tuple[str, Any, str]] = [
    ("no spec", None, "spec: Required value"),
    ("no source", {}, "spec.source: Required value"),
    ("empty source", {"source": {}}, ONE_SOURCE),
    ("a source of later", {"source": {"torrent": {"magnet": "a"}}}, ONE_SOURCE),
    ("two sources", {"source": HTTP | CLAIM}, ONE_SOURCE),
    ("three sources", {"source": HTTP | CLAIM | OCI}, ONE_SOURCE),
    ("a registry's Secret for a URL", {"source": HTTP | {"credentialsSecret": "s"}}, SECRET),
    ("a Secret alone", {"source": {"credentialsSecret": "s"}}, ONE_SOURCE),
    (
        "a source that is looked at all the time",
        {"source": OCI | {"refresh": "30s"}},
        "at least 1m",
    ),
    ("a period in words", {"source": OCI | {"refresh": "daily"}}, "use a duration such as"),
    (
        "a file in place that is to be brought up to date",
        {"source": {"persistentVolumeClaim": {"name": "c", "path": "m"}, "refresh": "1h"}},
        "there is nothing to refresh",
    ),
    (
        "no name of a Secret",
        {"source": OCI | {"credentialsSecret": "A_b"}},
        "spec.source.credentialsSecret: Invalid value",
    ),
    ("a Hub and a registry", {"source": HUB | OCI}, ONE_SOURCE),
    ("no owner", hub(repository="m"), "use owner/name"),
    ("a repository's URL", hub(repository="https://hub/a/b"), "use owner/name"),
    ("a path in a repository", hub(repository="../.."), "use owner/name"),
    ("a revision with a space", hub(revision="a b"), "use a branch, a tag or a commit"),
    ("a file as quantization", hub(quantization="m.gguf"), "use the word in the file's name"),
    ("an empty pattern", hub(files=[""]), "spec.source.huggingFace.files[0]"),
    ("a bucket and a URL", {"source": s3()["source"] | HTTP}, ONE_SOURCE),
    ("a bucket's URL", s3(bucket="s3://models"), "use the bucket's name alone"),
    ("a bucket in capitals", s3(bucket="Models"), "use the bucket's name alone"),
    ("a slash before a prefix", s3(prefix="/a"), 'no "/" at its ends'),
    ("a slash behind a prefix", s3(prefix="a/"), 'no "/" at its ends'),
    ("two slashes in a prefix", s3(prefix="a//b"), 'no "/" at its ends'),
    ("a prefix that leads out", s3(prefix="a/../b"), 'no ".."'),
    ("an endpoint without a scheme", s3(endpoint="minio:9000"), "use the store's URL"),
    ("a login in an endpoint", s3(endpoint="https://a:b@minio"), "use the store's URL"),
    ("a plain endpoint", s3(endpoint="http://minio:9000"), "lets everybody on the way read"),
    ("a region's sentence", s3(region="eu west"), "use the name of a region"),
    ("two buckets", {"source": s3()["source"] | gcs()["source"]}, ONE_SOURCE),
    ("a container and a bucket", {"source": azure()["source"] | gcs()["source"]}, ONE_SOURCE),
    ("a bucket's gs URL", gcs(bucket="gs://models"), "use the bucket's name alone"),
    ("a prefix of Google's that leads out", gcs(prefix="a/../b"), 'no ".."'),
    ("a plain endpoint of Google's", gcs(endpoint="http://gcs:4443"), "lets everybody on the way"),
    ("no account", {"source": {"azure": {"container": "a-b"}}}, "account: Required value"),
    ("no container", {"source": {"azure": {"account": "acme"}}}, "container: Required value"),
    ("an account's host", azure(account="acme.blob.core"), "use the storage account's name alone"),
    ("a container in capitals", azure(container="Models"), "use the container's name alone"),
    ("a short container", azure(container="ab"), "use the container's name alone"),
    ("two hyphens in a container", azure(container="a--b"), "use the container's name alone"),
    ("a signature in an endpoint", azure(endpoint="https://s/a?sig=x"), "use the store's URL"),
    ("a plain endpoint of Azure's", azure(endpoint="http://s/acme"), "lets everybody on the way"),
    ("no reference", {"source": {"oci": {}}}, "spec.source.oci.reference: Required value"),
    *((f"reference {text!r}", oci(text), REFERENCE) for text in NO_REFERENCES),
    ("a long reference", oci("a" * 513), "Too long"),
    ("no url", {"source": {"http": {}}}, "spec.source.http.url: Required value"),
    ("file URL", url("file:///etc/passwd"), "use an http:// or https:// URL with a host"),
    ("ftp URL", url("ftp://host/a.gguf"), "use an http:// or https:// URL with a host"),
    ("no scheme", url("host/a.gguf"), "use an http:// or https:// URL with a host"),
    ("no host", url("https:///a.gguf"), "use an http:// or https:// URL with a host"),
    ("empty URL", url(""), "use an http:// or https:// URL with a host"),
    ("a space in the URL's host", url("https://a b/c"), "use an http:// or https:// URL"),
    ("password in the URL", url("https://me:secret@host/a.gguf"), USERINFO),
    ("user in the URL", url("HTTPS://me@host/a.gguf"), USERINFO),
    ("short digest", sha256("abc"), SHA256),
    ("digest with prefix", sha256("sha256:" + "a" * 64), SHA256),
    ("upper-case digest", sha256("A" * 64), SHA256),
    ("absolute path", path("/a.gguf"), PATH),
    ("path upwards", path("a/../../b"), PATH),
    ("only upwards", path(".."), PATH),
    ("folder", path("a/"), PATH),
    ("double slash", path("a//b"), PATH),
    ("empty path", path(""), PATH),
    ("backslash", path("a\\b"), PATH),
    ("control character", path("a\nb"), PATH),
    (
        "no name of a claim",
        {"source": {"persistentVolumeClaim": {"name": "A_b", "path": "a"}}},
        "spec.source.persistentVolumeClaim.name: Invalid value",
    ),
    (
        "both flag forms",
        config(runtimeFlags=["-v"], rawRuntimeFlags="-v"),
        "spec.config: Invalid value: set runtimeFlags (a list) or rawRuntimeFlags (one line)",
    ),
    ("too many flags", config(runtimeFlags=["-v"] * 257), "must have at most 256 items"),
    ("a long flag", config(runtimeFlags=["x" * 4097]), "Too long"),
    ("no context", config(contextSize=0), "use a number of tokens of at least 1, or -1"),
    ("negative context", config(contextSize=-2), "greater than or equal to -1"),
    ("huge context", config(contextSize=2**31), "less than or equal to 2147483647"),
    (
        "negative budget",
        config(llamacpp={"reasoningBudget": -2}),
        "greater than or equal to -1",
    ),
    ("an unknown mode", config(mode="dreaming"), '"completion", "embedding", "reranking"'),
    (
        "a draft without a name",
        config(speculative={"numTokens": 4}),
        "spec.config.speculative.draftModel: Required value",
    ),
    ("a draft of no name", config(speculative={"draftModel": "a/b"}), "use at most 63 lower-case"),
    (
        "a draft of no tokens",
        config(speculative={"draftModel": "d", "numTokens": 0}),
        "greater than or equal to 1",
    ),
    (
        "a draft of too many tokens",
        config(speculative={"draftModel": "d", "numTokens": 1025}),
        "less than or equal to 1024",
    ),
    (
        "a rate of more than all",
        config(speculative={"draftModel": "d", "minAcceptanceRate": 1.01}),
        "less than or equal to 1",
    ),
    (
        "a draft for vectors",
        config(mode="embedding", speculative={"draftModel": "d"}),
        "speculative is for the mode completion: remove it, or the mode",
    ),
    ("keepAlive abc", {"source": HTTP, "keepAlive": "abc"}, KEEP_ALIVE),
    ("keepAlive without unit", {"source": HTTP, "keepAlive": "5"}, KEEP_ALIVE),
    ("empty keepAlive", {"source": HTTP, "keepAlive": ""}, KEEP_ALIVE),
    ("keepAlive as a number", {"source": HTTP, "keepAlive": 5}, "must be of type string"),
    (
        "more at least than at most",
        {"source": HTTP, "scaling": {"minReplicas": 2, "maxReplicas": 1}},
        SCALING,
    ),
    ("never one runner", {"source": HTTP, "scaling": {"maxReplicas": 0}}, "greater than or equal"),
    ("fewer than none", {"source": HTTP, "scaling": {"minReplicas": -1}}, "greater than or equal"),
    ("no concurrency", {"source": HTTP, "scaling": {"targetConcurrency": 0}}, "greater than or"),
    (
        "a limit that lets nobody in",
        {"source": HTTP, "limits": {"concurrentRequests": 0}},
        "than or",
    ),
    ("a runner of 64 characters", {"source": HTTP, "runner": "a" * 64}, LABEL),
    ("a runner of another namespace", {"source": HTTP, "runner": "ml/gpu"}, LABEL),
    ("a space in an alias", {"source": HTTP, "aliases": ["a b"]}, "spec.aliases[0]"),
    ("an alias twice", {"source": HTTP, "aliases": ["a", "a"]}, "Duplicate value"),
    ("a long alias", {"source": HTTP, "aliases": ["a" * 256]}, "Too long"),
    ("too many aliases", {"source": HTTP, "aliases": [f"a{i}" for i in range(33)]}, "at most 32"),
    ("an alias like a URL", {"source": HTTP, "aliases": ["http://a"]}, "spec.aliases[0]"),
    ("empty prompt", {"source": HTTP, "warmup": {"prompt": ""}}, "at least 1 chars long"),
]


@pytest.mark.control_plane
@pytest.mark.parametrize(("spec", "words"), [c[1:] for c in MODELS], ids=[c[0] for c in MODELS])
def test_a_model_is_refused(api: KubeApi, namespace: str, spec: Any, words: str) -> None:
    """422 and a sentence that names the field."""
    body = model(namespace, spec)
    if spec is None:
        del body["spec"]
    with pytest.raises(Refused) as refused:
        api.create(body, dryRun="All")
    assert (refused.value.status, refused.value.reason) == (422, "Invalid")
    assert words in refused.value.message


@pytest.mark.control_plane
@pytest.mark.parametrize("name", ["a" * 64, "1a", "a.b"])
def test_a_models_name_is_refused(api: KubeApi, namespace: str, name: str) -> None:
    """A name that no Service could have is refused before anything is made of it."""
    with pytest.raises(Refused) as refused:
        api.create(model(namespace, {"source": HTTP}, name=name), dryRun="All")
    assert refused.value.status == 422
    assert f'metadata.name: Invalid value: "{name}": {MODEL_NAME}' in refused.value.message


@pytest.mark.control_plane
def test_an_unknown_field_is_refused_where_strictness_is_asked(
    api: KubeApi, namespace: str
) -> None:
    """`kubectl` asks for it: a typing error does not vanish."""
    body = model(namespace, {"source": HTTP, "keepalive": "5m"})
    with pytest.raises(Refused, match=r'unknown field "spec\.keepalive"'):
        api.create(body, dryRun="All", fieldValidation="Strict")


@pytest.mark.control_plane
def test_a_refused_change_leaves_the_object_as_it_was(api: KubeApi, namespace: str) -> None:
    """An update meets the same rules as a creation."""
    created = api.create(model(namespace, {"source": HTTP}, name="changed"))
    with pytest.raises(Refused, match="set exactly one source"):
        api.merge(model(namespace, {"source": CLAIM}, name="changed"))
    found = api.get("modelrunner.dev/v1alpha1", "Model", "changed", namespace)
    assert found == created
