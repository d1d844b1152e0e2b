"""One settings value out of three places."""

from typing import Any

import pytest

from modelrunner.api.v1alpha1 import ModelRunner
from modelrunner.domain.effective import (
    GatewaySettings,
    ScalingSettings,
    SpeculativeSettings,
    monitoring,
)
from modelrunner_protocol.flags import FlagError
from modelrunner_protocol.sources import artifact_key
from modelrunner_protocol.wire import (
    AzureSource,
    GcsSource,
    HttpSource,
    HuggingFaceSource,
    Mode,
    OciSource,
    S3Source,
    Source,
)
from tests.unit.modelrunner.domain.settings_of import CLAIM, HTTP, OCI, URL, settings_of


def test_defaults() -> None:
    """What nobody wrote has the documented value."""
    found = settings_of()
    assert found.engine == "auto"
    assert found.image == ""
    assert found.key == artifact_key(Source(http=HttpSource(url=URL)))
    assert found.keep_alive == 300
    assert (found.startup_timeout, found.drain_timeout) == (1800, 120)
    assert found.warmup.enabled
    assert found.warmup.prompt == "Hello"
    assert found.cache.size is None
    assert found.cache.retention == "Retain"
    assert found.accelerator is None
    assert not found.in_place


def test_the_model_before_the_runner() -> None:
    """KeepAlive of the Model wins; of the rest each side says its own."""
    spec = HTTP | {
        "keepAlive": "-1",
        "aliases": ["b", "a"],
        "config": {"mode": "embedding", "contextSize": 512, "rawRuntimeFlags": "--temp '0.2'"},
        "warmup": {"enabled": False},
    }
    found = settings_of(
        spec, {"keepAlive": "1m", "accelerator": {"resource": "a.b/c"}, "cache": {"size": "auto"}}
    )
    assert found.keep_alive == -1
    assert found.aliases == ("a", "b")
    assert found.mode == "embedding"
    assert found.runtime_flags == ("--temp", "0.2")
    assert not found.warmup.enabled
    assert found.accelerator == ("a.b/c", 1)
    assert found.cache.size is None


def test_a_claim_is_used_in_place() -> None:
    """A file on a volume is not pulled."""
    assert settings_of(CLAIM).in_place


def test_spellings_of_a_reference_share_a_cache() -> None:
    """A reference is normalised, and the Secret that opens its registry is no part of its name."""
    found = settings_of(OCI)
    assert found.source == Source(oci=OciSource(reference="ai/x:latest"))
    assert found.credentials_secret == "pull"
    same = settings_of({"source": {"oci": {"reference": "docker.io/ai/x:latest"}}})
    assert found.key == same.key == artifact_key(found.source)
    over_http = settings_of({"source": {"oci": {"reference": "ai/x", "insecure": True}}})
    assert over_http.key != found.key


def test_spellings_of_a_repository_share_a_cache() -> None:
    """A quantization is a word in any case; another revision is another artifact."""
    found = settings_of(_hub(quantization="q8_0", ignoredFiles=["mmproj-*"]))
    repository = HuggingFaceSource(repository="acme/m", quantization="Q8_0", ignored=("mmproj-*",))
    assert found.source == Source(hugging_face=repository)
    assert found.key == settings_of(_hub(quantization="Q8_0", ignoredFiles=["mmproj-*"])).key
    assert settings_of(_hub()).key != settings_of(_hub(revision="v1")).key


def test_spellings_of_a_bucket_share_a_cache() -> None:
    """The end of a URL is no other store; another region might be."""
    found = settings_of(_s3(endpoint="https://s:9000/", quantization="q8_0", prefix="a/m"))
    bucket = S3Source(bucket="b-1", prefix="a/m", endpoint="https://s:9000", quantization="Q8_0")
    assert found.source == Source(s3=bucket)
    assert settings_of(_s3()).key != settings_of(_s3(region="r-2")).key


def test_buckets_of_other_stores() -> None:
    """Each has its own names, and the same wishes."""
    wishes = {"prefix": "a/m", "quantization": "q8_0", "files": ["*"], "ignoredFiles": ["x"]}
    more: dict[str, Any] = {"endpoint": "https://s/acme/", "insecure": True}
    told: dict[str, Any] = {"prefix": "a/m", "quantization": "Q8_0", "files": ("*",)}
    told |= {"ignored": ("x",), "endpoint": "https://s/acme", "insecure": True}
    gcs = settings_of({"source": {"gcs": {"bucket": "b_1"} | wishes | more}})
    assert gcs.source == Source(gcs=GcsSource(bucket="b_1", **told))
    names: dict[str, Any] = {"account": "acme", "container": "c-1"}
    azure = settings_of({"source": {"azure": names | wishes | more}})
    assert azure.source == Source(azure=AzureSource(**names, **told))


def _s3(**fields: object) -> dict[str, Any]:
    return {"source": {"s3": {"bucket": "b-1"} | fields}}


def _hub(**fields: object) -> dict[str, Any]:
    return {"source": {"huggingFace": {"repository": "acme/m"} | fields}}


def test_another_secret_restarts_no_runner() -> None:
    """Pods do not depend on how their weights were paid for."""
    other = {"source": {"oci": {"reference": "AI/x"}, "credentialsSecret": "other"}}
    assert settings_of(OCI).written == settings_of(other).written


def test_flags_that_cannot_be_split() -> None:
    """An open quote is the user's to close."""
    with pytest.raises(FlagError, match="split"):
        settings_of(HTTP | {"config": {"rawRuntimeFlags": "--temp '0.2"}})


def test_what_was_written_leaves_out_what_no_pod_sees() -> None:
    """keepAlive, scaling, limits, aliases, monitoring and the size of the cache change no pod."""
    plain = settings_of().written
    same = settings_of(
        HTTP | {"keepAlive": "1h", "scaling": {"maxReplicas": 9}, "aliases": ["x"]},
        {
            "keepAlive": "2h",
            "monitoring": {"interval": "5s"},
            "cache": {"size": "9Gi"},
            "scaling": {"minReplicas": 1},
            "activation": {"maxHeld": 1},
            "limits": {"requestsPerMinute": 1},
        },
    )
    assert same.written == plain
    assert settings_of(HTTP | {"warmup": {"enabled": False}}).written != plain
    assert settings_of(runner={"cache": {"existingClaim": "x"}}).written != plain


def test_scaling_of_the_model_over_the_runners() -> None:
    """Field by field; a maximum that nobody has set follows the minimum and scales nothing."""
    found = settings_of().scaling
    assert found == ScalingSettings(
        min_replicas=0, max_replicas=1, target_concurrency=8, elastic=False
    )
    found = settings_of(HTTP | {"scaling": {"minReplicas": 3}}).scaling
    assert (found.min_replicas, found.max_replicas, found.elastic) == (3, 3, False)
    found = settings_of(
        HTTP | {"scaling": {"minReplicas": 0}},
        {"scaling": {"minReplicas": 2, "maxReplicas": 4, "targetConcurrency": 3}},
    ).scaling
    assert found == ScalingSettings(
        min_replicas=0, max_replicas=4, target_concurrency=3, elastic=True
    )


def test_what_the_gateway_is_told() -> None:
    """Activation is the runner's, limits are the Model's over the runner's."""
    found = settings_of().gateway
    assert found == GatewaySettings(
        max_held=100, timeout=300, concurrent_requests=None, requests_per_minute=None
    )
    found = settings_of(
        HTTP | {"limits": {"concurrentRequests": 2}},
        {
            "limits": {"concurrentRequests": 9, "requestsPerMinute": 60},
            "activation": {"timeout": "1m30s", "maxHeld": 5},
        },
    ).gateway
    assert found == GatewaySettings(
        max_held=5, timeout=90, concurrent_requests=2, requests_per_minute=60
    )


def test_monitoring() -> None:
    """On unless it is switched off."""
    found = monitoring(ModelRunner.model_validate({"spec": {}}))
    assert (found.service_monitor, found.interval, found.labels) == (True, "30s", {})
    off = {"spec": {"monitoring": {"serviceMonitor": False, "interval": "1m"}}}
    found = monitoring(ModelRunner.model_validate(off))
    assert (found.service_monitor, found.interval) == (False, "1m")


@pytest.mark.parametrize(
    ("config", "mode"),
    [
        ({}, Mode.COMPLETION),
        ({"runtimeFlags": ["--reranking"]}, Mode.RERANKING),
        ({"rawRuntimeFlags": "--temp 1 --embeddings"}, Mode.EMBEDDING),
        ({"mode": "reranking"}, Mode.RERANKING),
    ],
)
def test_the_mode_that_a_flag_tells(config: dict[str, Any], mode: Mode) -> None:
    """Models from before the mode said it by llama-server's own flag."""
    assert settings_of(HTTP | {"config": config}).mode is mode


def test_a_draft() -> None:
    """What is left out is the engine's to choose."""
    found = settings_of(HTTP | {"config": {"speculative": {"draftModel": "d"}}})
    assert found.speculative == SpeculativeSettings(
        draft_model="d", num_tokens=None, min_acceptance_rate=None
    )
    spec = {"draftModel": "d", "numTokens": 4, "minAcceptanceRate": 1}
    whole = settings_of(HTTP | {"config": {"speculative": spec}}).speculative
    assert whole == SpeculativeSettings(draft_model="d", num_tokens=4, min_acceptance_rate=1.0)
    assert settings_of().speculative is None
