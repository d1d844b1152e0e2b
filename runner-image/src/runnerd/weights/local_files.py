"""Which files of this machine make the model that is imported, and what they are called then."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from modelrunner_protocol.sources import bucket_of, file_name
from modelrunner_protocol.wire import FileKind, Source, WeightsFile
from runnerd.weights.choice import Choice, StoredFile, choose
from runnerd.weights.failure import WeightsError
from runnerd.weights.names import CHAT_TEMPLATE, weight_names
from runnerd.weights.tensor_files import ENDING, INDEX_LIMIT, is_tensors

_TEMPLATE: Final = ".jinja"
_GGUF: Final = ".gguf"


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine, and what it becomes in the cache."""

    path: Path
    file: WeightsFile


@dataclass(frozen=True, slots=True)
class _Wish:
    quantization: str = ""
    files: Sequence[str] = ()
    ignored: Sequence[str] = ()


def local_files(source: Source, paths: Sequence[Path]) -> list[LocalFile]:
    """The files of the model, the weights first, under the names that a pull would give them.

    Args:
        source: Its quantization chooses among several.
        paths: Files, or one folder.

    Raises:
        WeightsError: there is no model among them, or not all of one.
        OSError: something cannot be read.
    """
    if len(paths) == 1 and paths[0].is_dir():
        paths = sorted(path for path in paths[0].iterdir() if path.is_file())
    for path in paths:
        if not path.is_file():
            raise WeightsError(f"{path} is not a file: name files, or one folder with --from")
    if not paths:
        raise WeightsError("there is no file: name the model's files")
    named = {path.name: path for path in paths}
    if len(named) < len(paths):
        raise WeightsError("two files have the same name: the files of one model do not")
    chosen = _one(paths[0]) if len(paths) == 1 else _chosen(source, named)
    if source.http is not None and len(chosen) == 1 and not is_tensors(chosen[0].path.name):
        # The name that the file has at its source.
        only = chosen[0]
        return [replace(only, file=replace(only.file, path=file_name(source.http)))]
    return chosen


def _one(path: Path) -> list[LocalFile]:
    name = path.name if is_tensors(path.name) else weight_names(1)[0]
    return [LocalFile(path, WeightsFile(path=name, size_bytes=path.stat().st_size))]


def _choice(quantization: str, found: Sequence[StoredFile], where: str) -> Choice:
    try:
        return choose(_Wish(quantization=quantization), found, where)
    except WeightsError:
        choice = choose(_Wish(), found, where)
        models = [one for one in found if one.path.lower().endswith((_GGUF, ENDING))]
        if len(models) > len(choice.weights) + (choice.projector is not None):
            raise
        # Files of one model are meant, whatever they are called here.
        return choice


def _chosen(source: Source, named: dict[str, Path]) -> list[LocalFile]:
    where = "the import"
    asked = source.hugging_face or bucket_of(source)
    found = [StoredFile(path=name, size=path.stat().st_size) for name, path in named.items()]
    choice = _choice(asked.quantization if asked else "", found, where)
    if choice.index is not None:
        if choice.index.size > INDEX_LIMIT:
            raise WeightsError(f"{choice.index.path} has {choice.index.size} bytes: it is no index")
        choice = choice.indexed(named[choice.index.path].read_bytes(), where)
    files = [
        LocalFile(named[file.path], WeightsFile(path=own, size_bytes=file.size, kind=kind))
        for own, file, kind in choice.named()
    ]
    templates = [path for name, path in named.items() if name.lower().endswith(_TEMPLATE)]
    known = {one.path for one in files}
    if len(templates) == 1 and templates[0] not in known and not is_tensors(files[0].path.name):
        size = templates[0].stat().st_size
        kind = FileKind.CHAT_TEMPLATE
        file = WeightsFile(path=CHAT_TEMPLATE, size_bytes=size, kind=kind)
        files.append(LocalFile(templates[0], file))
    return files
