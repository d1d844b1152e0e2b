"""Which files of two artifacts stand for each other, whatever each source calls them."""

from collections.abc import Sequence
from typing import Final

from modelrunner_protocol.wire import FileKind, WeightsFile

Role = tuple[str, int]

_ENDING: Final = ".safetensors"


def names_matter(files: Sequence[WeightsFile]) -> bool:
    """Whether the files find each other by their names, as those of a safetensors model do.

    An engine is told where the files of a GGUF model are.
    """
    return any(
        file.kind is FileKind.CONFIG or file.path.lower().endswith(_ENDING) for file in files
    )


def by_role(files: Sequence[WeightsFile]) -> dict[Role, WeightsFile]:
    """The files by what they are: kind and number among its kind, or the name where it matters.

    Of a list that was cut short the files that are left keep their roles.
    """
    if names_matter(files):
        # No kind begins like that.
        return {(f"/{file.path}", 0): file for file in files}
    found: dict[Role, WeightsFile] = {}
    counts: dict[FileKind, int] = {}
    for file in files:
        number = counts.get(file.kind, 0)
        found[file.kind.value, number] = file
        counts[file.kind] = number + 1
    return found


def counterparts(
    files: Sequence[WeightsFile], others: Sequence[WeightsFile]
) -> list[tuple[WeightsFile, WeightsFile]] | None:
    """Each of `files`, in their order, with the one of `others` that has its role.

    None when some have none. That a role is the same says nothing of the bytes.
    """
    mine, theirs = by_role(files), by_role(others)
    if mine.keys() != theirs.keys():
        return None
    return [(file, theirs[role]) for role, file in mine.items()]
