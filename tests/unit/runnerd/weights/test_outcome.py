"""The termination message."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner_protocol.codec import decode
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import (
    TERMINATION_LOG_LIMIT,
    Artifact,
    FileKind,
    Outcome,
    WeightsFile,
)
from runnerd.weights.outcome import fitted, write

_ARTIFACT = Artifact(
    format="gguf", size_bytes=5, files=(WeightsFile(path="m.gguf", size_bytes=5, sha256="0" * 64),)
)


def test_short_outcome_is_whole() -> None:
    """What fits is not touched."""
    outcome = Outcome(artifact=_ARTIFACT, downloaded_bytes=5)
    assert decode(Outcome, fitted(outcome)) == outcome


@given(message=st.text(min_size=0, max_size=9000))
def test_any_message_fits(message: str) -> None:
    """Whatever a server puts into a message, the result is JSON of at most 4096 bytes."""
    outcome = Outcome(reason=Reason.PULL_FAILED, message=message, retryable=True)
    text = fitted(outcome)
    assert len(text.encode()) <= TERMINATION_LOG_LIMIT
    found = decode(Outcome, text)
    assert (found.reason, found.retryable) == (Reason.PULL_FAILED, True)


@pytest.mark.parametrize("letter", ["a", "\n", "\U0001f600", "\ud800"])
def test_long_message_keeps_its_beginning(letter: str) -> None:
    """A message is cut at its end, as late as it has to be."""
    text = fitted(Outcome(message="start " + letter * 5000))
    assert len(text.encode()) > TERMINATION_LOG_LIMIT - 16
    message = json.loads(text)["message"]
    assert message.startswith("start ")
    assert message.endswith("…")


def _many(name: str) -> Artifact:
    template = WeightsFile(path="t.jinja", size_bytes=1, kind=FileKind.CHAT_TEMPLATE)
    files = tuple(WeightsFile(path=f"{name}{i}", size_bytes=1) for i in range(60))
    return Artifact(format="gguf", size_bytes=61, files=(*files, template), digest="sha256:d")


def test_of_too_many_files_those_are_told_that_others_have_to_know() -> None:
    """The model's first file and what belongs to it; the rest is found again by the digest."""
    found = decode(Outcome, fitted(Outcome(artifact=_many("x" * 100)))).artifact
    assert found is not None
    assert [file.path for file in found.files] == ["x" * 100 + "0", "t.jinja"]
    assert (found.size_bytes, found.digest) == (61, "sha256:d")


def test_artifact_that_cannot_fit_is_left_out() -> None:
    """An outcome that cannot fit still says how it ended."""
    outcome = Outcome(artifact=_many("x" * 5000), message="m")
    assert decode(Outcome, fitted(outcome)) == Outcome()


def test_write_replaces_what_was_there(tmp_path: Path) -> None:
    """A shorter outcome leaves nothing of an older one."""
    path = tmp_path / "log"
    path.write_text("x" * 5000)
    write(Outcome(message="m"), {"TERMINATION_LOG": str(path)})
    assert decode(Outcome, path.read_text()) == Outcome(message="m")


def test_write_without_a_place_is_no_failure(tmp_path: Path) -> None:
    """Outside of a container nobody reads it, and the command ends as it would."""
    write(Outcome(), {"TERMINATION_LOG": str(tmp_path / "no" / "such" / "folder")})
