"""Which files of many make a safetensors model, by their names and its index. Pure.

A model is in one file or in shards, and beside them are its settings and its tokenizer, without
which no engine can read it. Never code: what an engine would have to run is not fetched.

Source: transformers `utils/hub.py` (names of shards and of the index); vLLM
`model_loader/weight_utils.py` (`filter_duplicate_safetensors_files`); docker/model-runner
`pkg/distribution/files/classify.go`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from modelrunner_protocol.wire import FileKind
from runnerd.weights.bounded_json import UnreadableError, read_object
from runnerd.weights.failure import WeightsError, unsupported
from runnerd.weights.names import is_safe

ENDING: Final = ".safetensors"
INDEX_ENDING: Final = f"{ENDING}.index.json"
MOST_SHARDS: Final = 1000
INDEX_LIMIT: Final = 32 << 20
LARGEST_BESIDE: Final = 256 << 20
"""Bytes of a file beside the weights; the largest tokenizers have some 35 MiB."""

_SHARD: Final = re.compile(r"-([0-9]{1,6})-of-([0-9]{1,6})$")
_USUAL: Final = "model"
# A second copy of the same weights, as their author's own program has them.
_COPY: Final = "consolidated"
_ADAPTER: Final = "adapter_model"
_SHOWN: Final = 12
_ENDINGS: Final = (".json", ".jinja", ".model", ".tiktoken", ".vocab")
_LISTS: Final = frozenset({"merges.txt", "vocab.txt"})
_OTHERS: Final = (".bin.index.json", ".h5.index.json", ".msgpack.index.json")


def is_tensors(path: str) -> bool:
    """Whether a file's name says that it is a safetensors file."""
    return path.lower().endswith(ENDING)


def kind_beside(path: str) -> FileKind | None:
    """What a file that lies beside weights is for; None when no engine needs it.

    None of what an engine reads has a name that a folder of ours could not hold.
    """
    name = base_name(path)
    if not is_safe(name):
        return None
    if name.endswith(".jinja"):
        return FileKind.CHAT_TEMPLATE
    if name in _LISTS or (name.endswith(_ENDINGS) and not name.endswith(_OTHERS)):
        return FileKind.CONFIG
    return None


def base_name(path: str) -> str:
    """The last part of a path."""
    return path.rpartition("/")[2]


def folder_of(paths: Sequence[str], where: str) -> str:
    """The one folder that a model's files lie in: "" for the source's root, else it ends in "/".

    Raises:
        WeightsError: there are several, as of models that are made of several.
    """
    found = sorted({path[: len(path) - len(base_name(path))] for path in paths})
    if "" in found:
        return ""
    if len(found) > 1:
        raise unsupported(
            f"{where} holds safetensors weights in {len(found)} folders ({', '.join(found)[:200]}), and "
            "a model has one: name its files"
        )
    return found[0]


def index_in(folder: str, paths: Sequence[str]) -> str:
    """The file that says which files are the model's; "" where there is none."""
    own = [
        path for path in paths if path.endswith(INDEX_ENDING) and folder + base_name(path) == path
    ]
    usual = f"{folder}{_USUAL}{INDEX_ENDING}"
    return usual if usual in own else next(iter(sorted(own)), "")


def indexed(data: bytes, where: str) -> tuple[str, ...]:
    """The names that an index tells, in their order.

    Raises:
        WeightsError: it is no index, or one that leads elsewhere.
    """
    try:
        told = read_object(data).get("weight_map")
    except UnreadableError as error:
        raise unsupported(f"the index of {where} {error}") from error
    if not isinstance(told, dict) or not told:
        raise unsupported(f"the index of {where} names no files")
    names = set(map(str, told.values()))
    if any("/" in name or "\\" in name or not is_tensors(name) for name in names):
        raise unsupported(f"the index of {where} leads out of its folder: it is refused")
    return in_order(names, where)


def named_like(paths: Sequence[str], where: str) -> tuple[str, ...]:
    """Of the files of a folder without an index, those that are the model's, in their order.

    Raises:
        WeightsError: nobody can tell which, or some are missing.
    """
    groups: dict[str, list[str]] = {}
    for path in paths:
        groups.setdefault(_stem(path), []).append(path)
    stems = sorted(groups)
    if len(stems) > 1:
        stems = [one for one in stems if base_name(one) == _USUAL] or [
            one for one in stems if not base_name(one).startswith((_COPY, _ADAPTER))
        ]
    if len(stems) != 1:
        shown = ", ".join(sorted(paths)[:_SHOWN])
        raise WeightsError(
            f"{where} has several safetensors models, and no index that says which file is whose: name "
            f"one in files: {shown}"
        )
    if base_name(stems[0]).startswith(_ADAPTER):
        raise unsupported(f"{where} holds a LoRA adapter, not a model: name the model it is for")
    found = in_order(groups[stems[0]], where)
    parts = part_of(found[0])[1]
    if len(found) < parts or [part_of(path) for path in found] != [
        (at + 1, len(found)) for at in range(len(found))
    ]:
        raise WeightsError(f"{where} holds {len(found)} of the {parts} parts of {found[0]}")
    return found


def in_order(paths: set[str] | Sequence[str], where: str) -> tuple[str, ...]:
    """Shards by their numbers, others by their names.

    Raises:
        WeightsError: they are too many.
    """
    if len(paths) > MOST_SHARDS:
        raise unsupported(f"{where} is in {len(paths)} files, and {MOST_SHARDS} are the most")
    return tuple(sorted(paths, key=lambda path: (part_of(path)[0], path)))


def missing(names: Sequence[str], there: Mapping[str, object], where: str) -> WeightsError | None:
    """The failure to tell when an index names files that are not there."""
    absent = [name for name in names if name not in there]
    if not absent:
        return None
    return WeightsError(
        f"{where} lacks {len(absent)} of the {len(names)} files that its index names: "
        f"{', '.join(absent[:_SHOWN])}"
    )


def _stem(path: str) -> str:
    return _SHARD.sub("", path[: -len(ENDING)])


def part_of(path: str) -> tuple[int, int]:
    """The (number, of so many) of a file's name; a file that is whole is 1 of 1."""
    found = _SHARD.search(path[: -len(ENDING)])
    return (int(found[1]), int(found[2])) if found else (1, 1)
