"""Pulled once, visibly, and never broken: claims and pull Jobs on the real cluster."""

import time

import pytest

from tests.support import manifests
from tests.support.file_server import Fault
from tests.support.stack import Stack, condition
from tests.support.volumes import small_volume

pytestmark = pytest.mark.cluster


def test_model_made_again_downloads_nothing(stack: Stack, default_runner: str) -> None:
    """The claim outlives its Model, and an equal source finds it without any Job."""
    source = stack.http_source(stack.files.copy("again.gguf"))
    stack.apply(manifests.model(default_runner, "first", source))
    stack.wait_for(default_runner, "first", ready=True)
    (claim,) = stack.objects("persistentvolumeclaims", default_runner)
    stack.delete("models", default_runner, "first", propagation="Foreground")
    stack.wait("the Model is gone", lambda: stack.get("models", default_runner, "first") is None)
    served = stack.files.bytes_sent("again.gguf")

    stack.apply(manifests.model(default_runner, "second", source))
    stack.wait_for(default_runner, "second", ready=True)
    (found,) = stack.objects("persistentvolumeclaims", default_runner)
    assert found["metadata"]["uid"] == claim["metadata"]["uid"]
    assert stack.files.bytes_sent("again.gguf") == served


def test_models_with_one_source_share_one_download(stack: Stack, default_runner: str) -> None:
    """Two Models applied together with an equal source: one claim, the bytes fetched once."""
    path = stack.files.copy("shared.gguf")
    source = stack.http_source(path)
    stack.apply(*(manifests.model(default_runner, name, source) for name in ("one", "two")))
    for name in ("one", "two"):
        stack.wait_for(default_runner, name, ready=True)
    assert len(stack.objects("persistentvolumeclaims", default_runner)) == 1
    size = stack.weights.stat().st_size
    # Resolving reads the header again; a second download would double the bytes.
    assert size <= stack.files.bytes_sent("shared.gguf") < 1.2 * size


def test_download_is_seen_while_it_runs(stack: Stack, default_runner: str) -> None:
    """status.download counts bytes, percent, speed and time left while the pull Job works."""
    path = stack.files.copy("slow.gguf")
    # Each of the four connections.
    stack.files.limit("slow.gguf", bytes_per_second=1024**2)
    stack.apply(manifests.model(default_runner, "seen", stack.http_source(path)))
    stack.wait_for(default_runner, "seen", reason="Pulling")
    # It does not end before it was seen, however seldom the operator comes to ask.
    stack.files.limit("slow.gguf", bytes_per_second=256 * 1024)
    percents: set[int] = set()
    versions: set[str] = set()
    began = time.monotonic()

    def enough() -> bool:
        found = stack.get("models", default_runner, "seen") or {}
        versions.add(found.get("metadata", {}).get("resourceVersion", ""))
        download = found.get("status", {}).get("download") or {}
        if 0 < download.get("percent", 0) < 100 and "etaSeconds" in download:
            assert found["status"]["phase"] == "Pulling"
            assert download["bytesPerSecond"] > 0
            assert "%" in download["progress"]
            percents.add(download["percent"])
        return len(percents) >= 2

    stack.wait("two different percentages", enough)
    # A write wakes its writer: were progress asked for each time, this would be dozens.
    assert len(versions) <= 6 + (time.monotonic() - began) / 1.5
    stack.files.go_on("slow.gguf")
    found = stack.wait_for(default_runner, "seen", ready=True)
    assert "download" not in found["status"]


def test_pull_that_is_killed_goes_on_where_it_was(stack: Stack, default_runner: str) -> None:
    """A pull pod that dies half-way is tried again and fetches only what was missing."""
    path = stack.files.copy("killed.gguf")
    size = stack.weights.stat().st_size
    stack.files.hold("killed.gguf", after=size * 6 // 10)
    stack.apply(manifests.model(default_runner, "killed", stack.http_source(path)))

    def half() -> bool:
        # As the pull itself says: what was sent may still be on its way to it.
        found = stack.get("models", default_runner, "killed") or {}
        return bool(found.get("status", {}).get("download", {}).get("percent", 0) >= 50)

    stack.wait("half is there", half)
    (pod,) = stack.objects("pods", default_runner, "app.kubernetes.io/component=pull")
    name = pod["metadata"]["name"]
    stack.delete("pods", default_runner, name)
    stack.wait("it is dead", lambda: stack.get("pods", default_runner, name) is None)
    stack.files.go_on("killed.gguf")
    stack.wait_for(default_runner, "killed", ready=True)
    assert stack.files.bytes_sent("killed.gguf") < 1.3 * size


@pytest.mark.parametrize(
    ("path", "sha256", "reason", "words"),
    [
        ("missing.gguf", None, "PullFailed", "404"),
        ("", "0" * 64, "PullFailed", "sha256"),
        ("redirect-to-file", None, "PullFailed", "file"),
        ("page.html", None, "UnsupportedFormat", "HTML"),
        ("endless", None, "PullFailed", "length"),
    ],
)
def test_source_that_cannot_be_used_says_what_to_change(
    stack: Stack, default_runner: str, path: str, sha256: str | None, reason: str, words: str
) -> None:
    """404, a wrong digest, a redirect to a file, a page, an endless body: one Job, one sentence."""
    stack.files.spoil("redirect-to-file", Fault(status=302, headers={"Location": "file:///etc/x"}))
    endless = Fault(ignore_range=True, headers={"Content-Length": None}, extra=10**12)
    stack.files.spoil("endless", endless)
    stack.files.write("page.html", b"<!DOCTYPE html><html><body>Sign in</body></html>")
    source = stack.http_source(path, sha256=sha256)
    stack.apply(manifests.model(default_runner, "bad", source))
    found = stack.wait_for(default_runner, "bad", reason=reason)
    assert words.lower() in condition(found, "Ready")["message"].lower()
    assert condition(found, "Stalled")["status"] == "True"
    assert condition(found, "Cached")["status"] == "False"
    stack.wait("one failed Job", lambda: _failed_jobs(stack, default_runner) == [1])
    stack.apply(manifests.model(default_runner, "bad", stack.http_source()))
    stack.wait_for(default_runner, "bad", ready=True)


def _failed_jobs(stack: Stack, namespace: str) -> list[int]:
    """How many pods of each Job failed, Jobs that succeeded left out."""
    states = [job["status"] for job in stack.objects("jobs", namespace)]
    return [state.get("failed", 0) for state in states if not state.get("succeeded")]


def test_claim_smaller_than_the_artifact_is_refused_before_the_pull(
    stack: Stack, namespace: str
) -> None:
    """CacheTooSmall names both sizes; no claim is made and no byte of the body is fetched."""
    stack.apply(manifests.runner(namespace, cache={"size": "10Mi"}))
    stack.apply(manifests.model(namespace, "large", stack.http_source()))
    found = stack.wait_for(namespace, "large", reason="CacheTooSmall")
    assert "10Mi" in condition(found, "Ready")["message"]
    assert stack.objects("persistentvolumeclaims", namespace) == []


def test_full_volume_is_told_with_numbers(stack: Stack, namespace: str) -> None:
    """CacheTooSmall on a volume without room names what is needed and what is free."""
    with small_volume(stack, namespace, "small", mebibytes=40):
        stack.apply(manifests.runner(namespace, cache={"existingClaim": "small"}))
        stack.apply(manifests.model(namespace, "full", stack.http_source()))
        found = stack.wait_for(namespace, "full", reason="CacheTooSmall")
        message = condition(found, "Ready")["message"]
        assert "MiB" in message
        assert "free" in message


def test_existing_claim_holds_many_artifacts(stack: Stack, namespace: str) -> None:
    """One claim of the user holds a folder for each artifact; the claim itself is not touched."""
    stack.apply(manifests.claim(namespace, "mine"))
    stack.apply(manifests.runner(namespace, cache={"existingClaim": "mine"}))
    other = stack.files.copy("other.gguf")
    stack.apply(manifests.model(namespace, "one", stack.http_source()))
    stack.apply(manifests.model(namespace, "two", stack.http_source(other)))
    for name in ("one", "two"):
        stack.wait_for(namespace, name, ready=True)
    (claim,) = stack.objects("persistentvolumeclaims", namespace)
    owned = [key for key in claim["metadata"].get("annotations", {}) if "modelrunner" in key]
    assert owned == []


def test_retention_delete_removes_the_claim_with_its_last_model(
    stack: Stack, namespace: str
) -> None:
    """`retention: Delete` gives the claim to its Models, and it goes with the last of them."""
    stack.apply(manifests.runner(namespace, cache={"retention": "Delete"}))
    stack.apply(*(manifests.model(namespace, name, stack.http_source()) for name in ("a", "b")))
    for name in ("a", "b"):
        stack.wait_for(namespace, name, ready=True)
    stack.delete("models", namespace, "a", propagation="Foreground")
    stack.wait("the first is gone", lambda: stack.get("models", namespace, "a") is None)
    assert len(stack.objects("persistentvolumeclaims", namespace)) == 1
    stack.delete("models", namespace, "b")
    stack.wait(
        "the claim is gone", lambda: stack.objects("persistentvolumeclaims", namespace) == []
    )
