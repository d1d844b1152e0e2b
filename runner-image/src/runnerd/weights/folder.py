"""Which files of a folder on this machine make its safetensors model."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from modelrunner_protocol.wire import WeightsFile
from runnerd.weights.choice import StoredFile, choose
from runnerd.weights.failure import WeightsError, unsupported
from runnerd.weights.tensor_files import INDEX_LIMIT, is_tensors, kind_beside, part_of

_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Wish:
    files: Sequence[str] = ()
    quantization: str = ""
    ignored: Sequence[str] = ()


def holds_tensors(folder: Path) -> bool:
    """Whether there are safetensors files in a folder, and no GGUF files, which would come first.

    Raises:
        OSError: it cannot be read.
    """
    names = [path.name for path in folder.iterdir()]
    return any(map(is_tensors, names)) and not any(name.lower().endswith(".gguf") for name in names)


def tensor_files_in(
    folder: Path, where: str, name: str = "", *, inside: Path | None = None
) -> tuple[WeightsFile, ...]:
    """The files of the model in a folder, the weights first; paths are their names.

    Args:
        folder: Links in it are followed.
        where: It in words.
        name: Of the file with weights, where it is named; of shards any.
        inside: Where links may lead; None for anywhere.

    Raises:
        WeightsError: there is none, or nobody can tell which files are its own.
        OSError: it cannot be read.
    """
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_file():
            _check_link(path, where, inside)
            found.append(StoredFile(path=path.name, size=path.stat().st_size))
        if len(found) > _MOST:
            raise unsupported(
                f"{where} has more than {_MOST} files: let it have those of one model"
            )
    # A shard alone is no model: then all of its folder is looked at.
    named = (glob.escape(name),) if name and part_of(name)[1] == 1 else ()
    choice = choose(_Wish(files=named), found, where)
    if choice.index is not None:
        if choice.index.size > INDEX_LIMIT:
            raise unsupported(f"{where} has an index of {choice.index.size} bytes: it is refused")
        choice = choice.indexed((folder / choice.index.path).read_bytes(), where)
    return tuple(
        WeightsFile(path=own, size_bytes=file.size, kind=kind) for own, file, kind in choice.named()
    )


def _check_link(path: Path, where: str, inside: Path | None) -> None:
    matters = is_tensors(path.name) or kind_beside(path.name) is not None
    if matters and inside is not None and not path.resolve().is_relative_to(inside.resolve()):
        raise WeightsError(f"{path.name} of {where} is a link that leads out: copy the file there")
