"""What commands by hand say, to people and to programs."""

import json

import pytest

from runnerd.weights.spoken import artifact_words, fail, say, why


def test_a_failure_names_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    """People read it on standard error, programs as JSON among the other lines."""
    assert fail("pull", "no such model", 1, as_json=False) == 1
    assert fail("pull", "no such model", 2, as_json=True) == 2
    printed = capsys.readouterr()
    assert printed.err == "runnerd pull: no such model\n"
    assert json.loads(printed.out) == {"error": "no such model"}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FileExistsError(17, "File exists", "/c/k"), "/c/k: File exists"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("the engine is gone"), "the engine is gone"),
        (ValueError("no such model"), "no such model"),
    ],
)
def test_why(error: Exception, told: str) -> None:
    """Nobody has to know the numbers of the system's errors."""
    assert why(error) == told


def test_an_artifact_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """What is not known of it is left out, and each file has a line."""
    artifact = {"sizeBytes": 2048, "architecture": "llama", "files": [{"path": "m.gguf"}]}
    say(artifact_words({"source": "ai/m", "folder": "/c/k", "artifact": artifact}, "imported"))
    assert capsys.readouterr().out == "ai/m: llama, 2.00 KiB (imported)\n  /c/k/m.gguf\n"
