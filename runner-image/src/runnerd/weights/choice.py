"""Which files of a repository, a bucket or a folder make the model that was asked for. Pure.

A place with both formats gives its GGUF: that is what most who look there can run. Source of the
rules for it: docker/model-runner `pkg/distribution/huggingface/repository_gguf.go`: the
quantization is part of a file's name, Q4_K_M where none was asked for, else the first; of
projectors the F16 one.
"""

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from modelrunner_protocol.wire import FileKind
from runnerd.weights import formats, tensor_files
from runnerd.weights.failure import MissingError, WeightsError, unsupported
from runnerd.weights.names import PROJECTOR, leads_out, weight_names

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
    """What is to be pulled.

    Attributes:
        weights: The model's files in their order. With an `index`: all of which it may name some.
        projector: Of a GGUF model, what lets it see.
        beside: Of a safetensors model, its settings and its tokenizer.
        index: The file that says which of `weights` are the model's; read it and call `indexed`.
    """

    weights: tuple[StoredFile, ...]
    projector: StoredFile | None = None
    beside: tuple[StoredFile, ...] = ()
    index: StoredFile | None = None

    def indexed(self, data: bytes, where: str) -> "Choice":
        """The same with the files that its index names.

        Raises:
            WeightsError: it cannot be read, or names what is not there.
        """
        by_name = {tensor_files.base_name(file.path): file for file in self.weights}
        names = tensor_files.indexed(data, where)
        if failure := tensor_files.missing(names, by_name, where):
            raise failure
        return replace(self, weights=tuple(by_name[name] for name in names), index=None)

    def named(self) -> list[tuple[str, StoredFile, FileKind]]:
        """Each file under the name that it gets here.

        Files of a safetensors model name each other, so they keep their names.
        """
        if tensor_files.is_tensors(self.weights[0].path):
            return [
                (tensor_files.base_name(file.path), file, kind)
                for file, kind in [
                    *((file, FileKind.WEIGHTS) for file in self.weights),
                    *((file, tensor_files.kind_beside(file.path)) for file in self.beside),
                ]
                if kind is not None
            ]
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
    if hostile := next((file.path for file in allowed if leads_out(file.path)), ""):
        raise unsupported(f"{where} has a path {hostile[:80]!r} that leads out of its folder")
    ggufs = [file for file in allowed if file.path.lower().endswith(_ENDING)]
    models = [file for file in ggufs if not _is_projector(file.path)]
    if not models:
        tensors = [file for file in allowed if tensor_files.is_tensors(file.path)]
        if tensors and not source.quantization:
            return _choose_tensors(source, tensors, files, where)
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


def _choose_tensors(
    source: Wish, tensors: Sequence[StoredFile], files: Sequence[StoredFile], where: str
) -> Choice:
    folder = tensor_files.folder_of([file.path for file in tensors], where)
    there = {
        file.path: file
        for file in files
        if not any(fnmatch.fnmatchcase(file.path, one) for one in source.ignored)
        and file.path.startswith(folder)
        and "/" not in file.path[len(folder) :]
    }
    own = {file.path: file for file in tensors if file.path in there}
    beside = tuple(
        file for path, file in sorted(there.items()) if tensor_files.kind_beside(path) is not None
    )
    for file in beside:
        if file.size > tensor_files.LARGEST_BESIDE:
            raise unsupported(f"{where} has a {file.path} of {file.size} bytes: it cannot be right")
    index = tensor_files.index_in(folder, tuple(there))
    names = tuple(own) if index else tensor_files.named_like(tuple(own), where)
    weights = tuple(own[name] for name in names)
    return Choice(weights=weights, beside=beside, index=there.get(index))


def _nothing(source: Wish, files: Sequence[StoredFile], where: str) -> WeightsError:
    ggufs = [file.path for file in files if file.path.lower().endswith(_ENDING)]
    if ggufs and (source.files or source.ignored):
        shown = ", ".join(ggufs[:_SHOWN])
        return WeightsError(f"{where} has no GGUF model among the files that fit: it has {shown}")
    if any(tensor_files.is_tensors(file.path) for file in files):
        return unsupported(
            f"{where} holds safetensors weights, of which none fits: a quantization is part of the "
            "name of a GGUF file, and files and ignored have to leave the weights in"
        )
    return unsupported(
        f"{where} has no GGUF file and no safetensors file among its {len(files)} files"
    )
