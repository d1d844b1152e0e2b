"""JSON of the wire messages."""

from dataclasses import dataclass
from typing import Any

import pytest

from modelrunner_protocol.codec import WireError, camel, decode, encode, from_dict, to_dict
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.runner import Closing, HeldReport, RunnerState, RunnerStatus
from modelrunner_protocol.wire import (
    Artifact,
    AzureSource,
    ClaimSource,
    Credentials,
    Draft,
    FileKind,
    GcsSource,
    HttpSource,
    HuggingFaceSource,
    Mode,
    OciSource,
    Outcome,
    Progress,
    PullConfig,
    PullPhase,
    RunConfig,
    S3Source,
    Source,
    Warmup,
    WeightsFile,
)

_ARTIFACT = Artifact(
    format="gguf",
    size_bytes=98362432,
    files=(WeightsFile(path="m.gguf", size_bytes=98362432, sha256="ab" * 32),),
    digest="sha256:" + "ab" * 32,
    architecture="llama",
    parameters="134.52 M",
    quantization="Q4_1",
    context_size=8192,
    abilities=("tools",),
    etag='"x"',
)

_MESSAGES = [
    Closing(),
    Closing(lease=1.5, last_used_at=2.5, drain=True),
    HeldReport(gateway="g", held=3),
    Artifact(format="", size_bytes=0, files=()),
    Artifact(
        format="gguf",
        size_bytes=3,
        files=(WeightsFile(path="t", size_bytes=3, kind=FileKind.CHAT_TEMPLATE),),
    ),
    PullConfig(
        source=Source(oci=OciSource(reference="ai/a:b", insecure=True)),
        key="k",
        credentials=Credentials(secret="s"),
    ),
    _ARTIFACT,
    Outcome(),
    Outcome(reason=Reason.PULL_FAILED, message='é\n"', retryable=True),
    Outcome(artifact=_ARTIFACT, downloaded_bytes=1),
    Progress(phase=PullPhase.WAITING),
    Progress(
        phase=PullPhase.DOWNLOADING,
        completed_bytes=1,
        total_bytes=0,
        bytes_per_second=0.0,
        eta_seconds=1.5,
        message="m",
    ),
    PullConfig(source=Source(http=HttpSource(url="http://h/m")), key="k"),
    PullConfig(
        source=Source(claim=ClaimSource(claim="c", path="p")),
        key="k",
        root="/x",
        expected=_ARTIFACT,
        port=1,
    ),
    RunConfig(model="", namespace="", runner="", engine="", weights=""),
    RunConfig(
        model="m",
        namespace="n",
        runner="r",
        engine="llama.cpp",
        weights="/models/k/m.gguf",
        mode=Mode.EMBEDDING,
        aliases=("a", "b"),
        context_size=1,
        runtime_flags=("--temp", ""),
        reasoning_budget=0,
        draft=Draft(weights="/draft/k/d.gguf", max_tokens=4, min_probability=0.5),
        warmup=Warmup(enabled=False, prompt=""),
        startup_timeout=0.5,
        drain_timeout=0.0,
    ),
    RunnerStatus(state=RunnerState.LOADING, started_at=1.0),
    RunnerStatus(
        state=RunnerState.FAILED,
        started_at=1.0,
        listening_at=2.0,
        reason=Reason.ENGINE_FAILED,
        message="x",
        restarts=3,
        in_flight=0,
        last_used_at=0.0,
    ),
]


@pytest.mark.parametrize(
    "message", _MESSAGES, ids=[f"{type(m).__name__}-{i}" for i, m in enumerate(_MESSAGES)]
)
def test_every_message_is_read_back(message: Any) -> None:
    """What one part writes, another reads as the same value."""
    assert decode(type(message), encode(message)) == message


def test_text_is_compact_camel_case() -> None:
    """Golden text: environment variables and annotations are read by people, too."""
    assert encode(_ARTIFACT) == (
        '{"format":"gguf","sizeBytes":98362432,"files":[{"path":"m.gguf","sizeBytes":98362432,'
        f'"sha256":"{"ab" * 32}"}}],"digest":"sha256:{"ab" * 32}","architecture":"llama",'
        '"parameters":"134.52 M","quantization":"Q4_1","contextSize":8192,"abilities":["tools"],"etag":"\\"x\\""}'
    )


def test_empty_optional_fields_are_left_out() -> None:
    """None, "" and empty lists of optional fields are not written; zero and false are."""
    written = to_dict(Outcome())
    assert (written["retryable"], written["downloadedBytes"]) == (False, 0)
    assert {"artifact", "reason", "message"}.isdisjoint(written)
    assert to_dict(Progress(phase=PullPhase.DONE, total_bytes=0)) == {
        "phase": "done",
        "completedBytes": 0,
        "totalBytes": 0,
        "resumedBytes": 0,
    }


def test_empty_fields_with_another_default_are_written() -> None:
    """A reader would insist on them, or take the default for what was meant."""
    assert to_dict(Warmup(prompt="")) == {"enabled": True, "prompt": ""}
    assert to_dict(Artifact(format="", size_bytes=0, files=())) == {
        "format": "",
        "sizeBytes": 0,
        "files": [],
    }


def test_unknown_fields_are_ignored() -> None:
    """A newer operator may tell an older runner more."""
    assert decode(Progress, '{"phase":"done","later":{"a":1}}') == Progress(phase=PullPhase.DONE)


def test_null_is_absent() -> None:
    """An explicit null is a field that is not there."""
    assert decode(Outcome, '{"message":null,"artifact":null}') == Outcome()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        (b"\xff\xfe\xfa", "not JSON"),
        ("[]", "Outcome: expected an object, found list"),
        ("null", "Outcome: expected an object, found NoneType"),
        ('{"retryable":1}', "retryable: expected bool, found int"),
        ('{"downloadedBytes":true}', "downloadedBytes: expected int, found bool"),
        ('{"downloadedBytes":1.0}', "downloadedBytes: expected int, found float"),
        ('{"message":5}', "message: expected str, found int"),
        ('{"downloadedBytes":NaN}', "not JSON: NaN is no JSON number"),
        ('{"downloadedBytes":-Infinity}', "-Infinity is no JSON number"),
        ('{"reason":"NoSuch"}', "reason: 'NoSuch' is not a valid Reason"),
        ('{"reason":5}', "reason: expected Reason, found int"),
        ('{"artifact":[]}', "artifact: expected an object, found list"),
        ('{"artifact":{"format":"gguf","files":[]}}', "artifact.sizeBytes: missing"),
        ('{"artifact":{"format":"g","sizeBytes":1,"files":{}}}', "artifact.files: expected a list"),
        (
            '{"artifact":{"format":"g","sizeBytes":1,"files":[{"path":"a"}]}}',
            r"artifact.files\[0\].sizeBytes: missing",
        ),
    ],
)
def test_wrong_shape_names_the_field(text: str | bytes, says: str) -> None:
    """A message of another shape is an error that says where."""
    with pytest.raises(WireError, match=says):
        decode(Outcome, text)


def test_whole_numbers_are_read_as_times() -> None:
    """JSON writers drop the point of 30.0."""
    status = from_dict(RunnerStatus, {"state": "ready", "startedAt": 30})
    assert (status.started_at, type(status.started_at)) == (30.0, float)


def test_camel() -> None:
    """Python names become the names of the API."""
    assert [camel(n) for n in ("key", "size_bytes", "last_used_at")] == [
        "key",
        "sizeBytes",
        "lastUsedAt",
    ]


def test_every_message_is_covered() -> None:
    """A message that is added to the wire is added to these tests."""
    from modelrunner_protocol import runner, wire  # noqa: PLC0415 - only to look through them

    messages = {
        item
        for item in (vars(wire) | vars(runner)).values()
        if isinstance(item, type) and hasattr(item, "__dataclass_fields__")
    }
    nested = {WeightsFile, HttpSource, ClaimSource, OciSource, HuggingFaceSource}
    nested |= {S3Source, GcsSource, AzureSource, Source, Credentials, Warmup, Draft}
    assert messages == {type(m) for m in _MESSAGES} | nested


@dataclass(frozen=True)
class _Numbers:
    values: tuple[int, ...]


def test_lists_of_numbers() -> None:
    """Elements are checked one by one."""
    assert decode(_Numbers, '{"values":[1,2]}') == _Numbers((1, 2))
    with pytest.raises(WireError, match=r"values\[1\]: expected int, found str"):
        decode(_Numbers, '{"values":[1,"2"]}')


def test_number_beyond_all_floats() -> None:
    """A whole number that no float holds is a wrong message, not an error of ours."""
    with pytest.raises(WireError, match="lease: too large a number"):
        decode(Closing, '{"lease":' + "9" * 400 + "}")
