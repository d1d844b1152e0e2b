"""Which engine runs which weights: one table, asked before a volume, a pull or a GPU is taken."""

from collections.abc import Mapping
from typing import Final

from modelrunner.api.text import format_size
from modelrunner.api.v1alpha1 import Engine
from modelrunner.domain.problem import Problem
from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Artifact

Table = Mapping[str, str]
"""Engine → the format that it runs."""

RUNS: Final[Table] = {Engine.LLAMA_CPP: "gguf"}

_SPELLED: Final = {"gguf": "GGUF"}


def unsuited(
    artifact: Artifact, *, engine: str, runner: str, where: str, runs: Table = RUNS
) -> Problem | None:
    """Why an engine cannot run weights, and what mends it; None when it can.

    Args:
        artifact: What the source turned out to hold.
        engine: As the ModelRunner has it; `auto` is any engine of the table.
        runner: The ModelRunner's name.
        where: The source in words.
        runs: The table.
    """
    engines = list(runs) if engine == Engine.AUTO else [engine]
    if any(runs.get(one) == artifact.format for one in engines):
        return None
    needs = " and ".join(f"{one} runs {_spelled(runs[one])}" for one in engines if one in runs)
    others = [one for one, kind in runs.items() if kind == artifact.format]
    wanted = " or ".join(_spelled(runs[one]) for one in engines if one in runs)
    mend = f"name a source with {wanted} weights"
    if others:
        mend = f"set spec.engine of ModelRunner {runner} to {others[0]} or {Engine.AUTO}, or {mend}"
    return Problem(
        Reason.UNSUPPORTED_FORMAT, f"{where} holds {_told(artifact)}, and {needs}: {mend}"
    )


def _told(artifact: Artifact) -> str:
    """As in: safetensors weights (llama, 134.52 M, BF16, 256.6 MiB)."""
    words = [artifact.architecture, artifact.parameters, artifact.quantization]
    size = format_size(artifact.size_bytes)
    return f"{_spelled(artifact.format)} weights ({', '.join([*filter(None, words), size])})"


def _spelled(kind: str) -> str:
    return _SPELLED.get(kind, kind)
