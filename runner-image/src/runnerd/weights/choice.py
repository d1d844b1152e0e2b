"""Which files of a repository or a bucket make the model that was asked for. Pure.

Source of the rules: docker/model-runner `pkg/distribution/huggingface/repository_gguf.go`: the
quantization is part of a file's name, Q4_K_M where none was asked for, else the first; of
projectors the F16 one.
"""

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from modelrunner_protocol.wire import FileKind
from runnerd.weights import formats
from runnerd.weights.disk import size_text
from runnerd.weights.failure import MissingError, WeightsError, unsupported
from runnerd.weights.names import PROJECTOR, weight_names

_USUAL: Final = "Q4_K_M"
_ENDING: Final = ".gguf"
_SHARD: Final = re.compile(r"-[0-9]{5}-of-[0-9]{5}$")
_QUANTIZATION: Final = re.compile(
    r"(?:^|[-._])((?:UD-)?(?:I?Q[1-8](?:_[A-Z0-9]+)*|TQ[12]_0|MXFP4(?:_MOE)?|BF16|F16|FP16|F32))$",
    re.IGNORECASE,
)
_SHOWN: Final = 12


class Wish(Protocol):
    """What was asked for: the part of a source that chooses among its files."""

    @property
    def quantization(self) -> str:
        """Part of a file's name, "" for the usual one."""

    @property
    def files(self) -> Sequence[str]:
        """Patterns of paths; without any all are allowed."""

    @property
    def ignored(self) -> Sequence[str]:
        """Patterns of paths that do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One file at a source. `path` is from its root.

    `sha256` and `etag` are "" where the source does not tell them.
    """

    path: str
    size: int
    sha256: str = ""
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is to be pulled: the model's files in their order, and its projector."""

    weights: tuple[StoredFile, ...]
    projector: StoredFile | None = None

    def named(self) -> list[tuple[str, StoredFile, FileKind]]:
        """Each file under the name that it gets here."""
        names = weight_names(len(self.weights))
        found = [
            (name, file, FileKind.WEIGHTS) for name, file in zip(names, self.weights, strict=True)
        ]
        if self.projector is not None:
            found.append((PROJECTOR, self.projector, FileKind.PROJECTOR))
        return found


def choose(source: Wish, files: Sequence[StoredFile], where: str) -> Choice:
    """The files that `source` asks for.

    Raises:
        WeightsError: none fits, more than one model fits, or shards are missing; the message
            says what there is.
    """
    allowed = [file for file in files if _wanted(source, file.path)]
    ggufs = [file for file in allowed if file.path.lower().endswith(_ENDING)]
    models = [file for file in ggufs if not _is_projector(file.path)]
    if not models:
        raise _nothing(source, files, where)
    groups: dict[str, list[StoredFile]] = {}
    for file in sorted(models, key=lambda file: file.path):
        groups.setdefault(_stem(file.path), []).append(file)
    stem = _one(source, tuple(groups), where)
    projectors = [file for file in ggufs if _is_projector(file.path)]
    return Choice(weights=_whole(groups[stem], where), projector=_best_projector(projectors))


def quantization_of(path: str) -> str:
    """The quantization that a file's name tells, in capitals; "" for none."""
    found = _QUANTIZATION.search(_stem(path).rpartition("/")[2])
    return found[1].upper() if found else ""


def _wanted(source: Wish, path: str) -> bool:
    kept = not source.files or any(fnmatch.fnmatchcase(path, one) for one in source.files)
    return kept and not any(fnmatch.fnmatchcase(path, one) for one in source.ignored)


def _is_projector(path: str) -> bool:
    return "mmproj" in path.rpartition("/")[2].lower()


def _stem(path: str) -> str:
    """A path without its ending and without the number of its shard: the same for all shards."""
    return _SHARD.sub("", path[: -len(_ENDING)])


def _one(source: Wish, stems: Sequence[str], where: str) -> str:
    if source.quantization:
        asked = source.quantization.upper()
        exact = [stem for stem in stems if quantization_of(f"{stem}{_ENDING}") == asked]
        fitting = exact or [stem for stem in stems if _has(stem, asked)]
        if not fitting:
            raise MissingError(
                f"{where} has no file with the quantization {source.quantization}: set "
                f"quantization to one of {_listed(stems)}"
            )
        return _only(fitting, where)
    if source.files:
        return _only(stems, where)
    usual = [stem for stem in stems if _has(stem, _USUAL)]
    return usual[0] if usual else stems[0]


def _only(stems: Sequence[str], where: str) -> str:
    if len(stems) > 1:
        shown = ", ".join(f"{stem}{_ENDING}" for stem in stems[:_SHOWN])
        raise WeightsError(f"{where} has {len(stems)} models that fit: name one in files: {shown}")
    return stems[0]


def _has(stem: str, quantization: str) -> bool:
    """Whether a part of the path is the quantization: a folder, or a piece between hyphens."""
    asked = re.escape(quantization)
    return re.search(rf"(?:^|[-./_]){asked}(?:$|[-./])", stem, re.IGNORECASE) is not None


def _listed(stems: Sequence[str]) -> str:
    found = dict.fromkeys(quantization_of(f"{stem}{_ENDING}") for stem in stems)
    names = [name for name in found if name] or [f"{stem}{_ENDING}" for stem in stems]
    more = ", …" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _whole(found: list[StoredFile], where: str) -> tuple[StoredFile, ...]:
    expected = formats.shard_names(found[0].path)
    if not expected:
        return (found[0],)
    by_path = {file.path: file for file in found}
    missing = [name for name in expected if name not in by_path]
    if missing:
        raise WeightsError(
            f"{where} lacks {len(missing)} of the {len(expected)} parts of {found[0].path}: "
            f"{', '.join(missing[:_SHOWN])}"
        )
    return tuple(by_path[name] for name in expected)


def _best_projector(found: Sequence[StoredFile]) -> StoredFile | None:
    def rank(file: StoredFile) -> tuple[int, str]:
        kind = quantization_of(file.path)
        order = ("F16", "FP16", "BF16", "F32")
        return (order.index(kind) if kind in order else len(order), file.path)

    return min(found, key=rank) if found else None


def _nothing(source: Wish, files: Sequence[StoredFile], where: str) -> WeightsError:
    safetensors = [file for file in files if file.path.endswith(".safetensors")]
    ggufs = [file.path for file in files if file.path.lower().endswith(_ENDING)]
    if ggufs and (source.files or source.ignored):
        shown = ", ".join(ggufs[:_SHOWN])
        return WeightsError(f"{where} has no GGUF model among the files that fit: it has {shown}")
    if safetensors:
        size = size_text(sum(file.size for file in safetensors))
        return unsupported(
            f"{where} holds safetensors weights ({len(safetensors)} files, {size}), and llama.cpp "
            "runs GGUF: name a place with GGUF files, often the same name with -GGUF"
        )
    return unsupported(f"{where} has no GGUF file among its {len(files)} files")
