"""What a model is for."""

from pathlib import Path

import pytest

from modelrunner_protocol.configure import Configuration
from modelrunner_protocol.wire import Artifact, Mode
from runnerd.standalone.catalogue.stored import Stored
from runnerd.standalone.meant import meant_mode
from runnerd.standalone.pool import Configured


def stored(architecture: str) -> Stored:
    """A model of an architecture."""
    artifact = Artifact(format="gguf", size_bytes=1, files=(), architecture=architecture)
    return Stored(identity="sha256:a", tags=(), created=0, artifact=artifact, folder=Path("/x"))


def configured(mode: Mode, identity: str = "sha256:a") -> Configured:
    """A configuration that says nothing."""
    return Configured(identity=identity, mode=mode, configuration=Configuration())


@pytest.mark.parametrize(
    ("architecture", "modes", "meant"),
    [
        ("llama", [], Mode.COMPLETION),
        ("nomic-bert", [], Mode.EMBEDDING),
        ("llama", [Mode.EMBEDDING], Mode.EMBEDDING),
        ("nomic-bert", [Mode.RERANKING], Mode.RERANKING),
        ("llama", [Mode.EMBEDDING, Mode.RERANKING], Mode.COMPLETION),
    ],
)
def test_meant_mode(architecture: str, modes: list[Mode], meant: Mode) -> None:
    """The only mode that is known of, else that of its kind."""
    known = [configured(mode) for mode in modes]
    other = [configured(Mode.RERANKING, "sha256:b")]
    assert meant_mode(stored(architecture), known, other) is meant
