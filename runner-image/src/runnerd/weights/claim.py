"""Weights on a volume that somebody else filled: used in place, never copied."""

import asyncio
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Final

from modelrunner_protocol.sources import describe_claim
from modelrunner_protocol.wire import Artifact, ClaimSource, WeightsFile
from runnerd.weights import formats
from runnerd.weights.failure import WeightsError, unsupported
from runnerd.weights.folder import holds_tensors, tensor_files_in
from runnerd.weights.headers import read_artifact, read_header
from runnerd.weights.tensor_files import is_tensors

_HINTS: Final = 10
_LOOKED_AT: Final = 1000


async def resolve_claim(source: ClaimSource, root: Path) -> Artifact:
    """What the file on the volume mounted at `root` is; of a split model, all its parts.

    A safetensors model is a folder: its path may be named, or that of its weights.

    Raises:
        WeightsError: no such file, a path that leaves the volume, or not a model.
    """
    return await asyncio.to_thread(_resolve, source, root)


def _resolve(source: ClaimSource, root: Path) -> Artifact:
    where = describe_claim(source)
    path = _below(root, source.path, where)
    try:
        if path.is_dir() or is_tensors(path.name):
            return _resolve_tensors(source, root, path, where)
        header = read_header(path, where)
        shard, shards = formats.shard_of(path.name, header)
        if shards > 1:
            return _resolve_parts(source, path, shard, where)
        size = path.stat().st_size
    except OSError as error:
        raise _unreadable(where, error) from error
    return formats.artifact_of(header, (WeightsFile(path=source.path, size_bytes=size),))


def _resolve_tensors(source: ClaimSource, root: Path, path: Path, where: str) -> Artifact:
    """A safetensors model: a folder, or one of its files with those that lie beside it."""
    named = "" if path.is_dir() else path.name
    folder = path.parent if named else path
    files = tensor_files_in(folder, where, named, inside=root)
    artifact = read_artifact(folder, files, where)
    above = source.path.rstrip("/").rpartition("/")[0] if named else source.path.rstrip("/")
    inside = tuple(replace(file, path=f"{above}/{file.path}".lstrip("/")) for file in files)
    return replace(artifact, files=inside)


def _resolve_parts(source: ClaimSource, path: Path, shard: int, where: str) -> Artifact:
    names = formats.shard_names(path.name)
    if not names:
        raise unsupported(
            f"{where} is part of a split model, and its name does not tell the others: "
            "name the parts <model>-00001-of-0000N.gguf"
        )
    if shard != 1:
        raise unsupported(
            f"{where} is part {shard} of a split model: let path name the first, {names[0]}"
        )
    missing = [name for name in names if not (path.parent / name).is_file()]
    if missing:
        raise WeightsError(
            f"{where} is a split model, and {len(missing)} of its {len(names)} parts are missing: "
            f"{', '.join(missing[:_HINTS])}"
        )
    headers = [read_header(path.parent / name, name) for name in names]
    folder = source.path.rpartition("/")[0]
    files = tuple(
        WeightsFile(
            path=f"{folder}/{name}".lstrip("/"), size_bytes=(path.parent / name).stat().st_size
        )
        for name in names
    )
    total = sum(header.parameters for header in headers)
    return formats.artifact_of(headers[0], files, parameters=total)


def _below(root: Path, relative: str, where: str) -> Path:
    """The file, which has to be on the volume itself, whatever links lead to it."""
    parts = Path(relative).parts
    if not parts or relative.startswith("/") or ".." in parts or "\0" in relative:
        raise WeightsError(
            f"the path {relative!r} does not lead into the volume: "
            "it is relative to the volume's root and holds no '..'"
        )
    try:
        path = (root / relative).resolve(strict=True)
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise WeightsError(f"there is no {where}{_hint(root, relative)}") from error
    except (OSError, RuntimeError) as error:
        raise _unreadable(where, error) from error
    if not path.is_relative_to(root.resolve()):
        raise WeightsError(f"{where} is a link that leads out of the volume: copy the file there")
    if not stat.S_ISREG(mode) and not (stat.S_ISDIR(mode) and holds_tensors(path)):
        raise WeightsError(f"{where} is not a file{_hint(root, relative)}")
    return path


def _unreadable(where: str, error: BaseException) -> WeightsError:
    what = getattr(error, "strerror", None) or str(error)
    return WeightsError(
        f"{where} cannot be read: {what} (user {os.geteuid()}; check the file's mode and fsGroup)"
    )


def _hint(root: Path, relative: str) -> str:
    """What there is instead: the nearest folder that exists, and some names in it."""
    top = root.resolve()
    folder = root / relative
    # A link may lead anywhere; only what is on the volume is told.
    while not (folder.is_dir() and folder.resolve().is_relative_to(top)) and folder != root:
        folder = folder.parent
    try:
        names = []
        with os.scandir(folder) as entries:
            for entry, _ in zip(entries, range(_LOOKED_AT), strict=False):
                names.append(f"{entry.name}/" if entry.is_dir() else entry.name)
    except OSError:
        return ""
    names.sort(key=lambda name: (not name.lower().endswith(".gguf"), name))
    shown = "the volume's root" if folder == root else str(folder.relative_to(root))
    if not names:
        return f"; {shown} is empty"
    more = ", …" if len(names) > _HINTS else ""
    return f"; {shown} holds {', '.join(names[:_HINTS])}{more}"
