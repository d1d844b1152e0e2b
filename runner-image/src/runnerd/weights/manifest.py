"""What a folder of weights says that it holds.

<folder>/manifest.json   the artifact; it makes the folder whole
<folder>/.<key>.json     the same as another source calls it that has equal bytes
"""

import json
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from modelrunner_protocol.codec import WireError, from_dict, to_dict
from modelrunner_protocol.roles import counterparts
from modelrunner_protocol.sources import MANIFEST, describe_url
from modelrunner_protocol.wire import Artifact, HttpSource, Source, WeightsFile
from runnerd.weights.durable import write_whole
from runnerd.weights.failure import WeightsError
from runnerd.weights.names import safe_name

MANIFEST_VERSION: Final = 1

_LARGEST: Final = 4 * 1024 * 1024


def note_path(folder: Path, key: str) -> Path:
    """Where the source of `key` notes what it calls the artifact."""
    return folder / f".{key}.json"


def write_manifest(path: Path, source: Source, artifact: Artifact) -> None:
    """Write a manifest, or a note, on the disk.

    Args:
        path: Of the file.
        source: Told without what may be secret in a URL.
        artifact: What is there.
    """
    write_whole(
        path,
        {
            "version": MANIFEST_VERSION,
            "source": to_dict(_without_secrets(source)),
            "artifact": to_dict(artifact),
        },
    )


def read_manifest(path: Path) -> Artifact:
    """What a manifest says.

    Raises:
        OSError: there is none.
        WireError: it cannot be read.
    """
    return from_dict(Artifact, _read(path).get("artifact"), "artifact")


def source_of(folder: Path, key: str) -> Source:
    """Which source a folder was filled from for a key; an empty one where nobody can tell."""
    for path in (note_path(folder, key), folder / MANIFEST):
        with suppress(OSError, WireError):
            return from_dict(Source, _read(path).get("source"), "source")
    return Source()


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        text = file.read(_LARGEST + 1)
    if len(text) > _LARGEST:
        raise WireError("the manifest is too large")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError("the manifest is not JSON") from error
    if not isinstance(data, dict) or data.get("version") != MANIFEST_VERSION:
        raise WireError("the manifest is of another version")
    return data


def recorded(folder: Path, key: str = "") -> Artifact:
    """What a folder says that it holds, as the source of `key` calls it; "": whoever was first.

    Raises:
        OSError: there is no manifest.
        WireError: it cannot be read.
    """
    found = read_manifest(folder / MANIFEST)
    if not key:
        return found
    try:
        noted = read_manifest(note_path(folder, key))
    except (OSError, WireError):
        return found
    return noted if same_files(noted.files, found.files) else found


def whole(folder: Path, key: str = "") -> Artifact | None:
    """What a folder holds, if all of it is there with the recorded sizes; else None."""
    try:
        artifact = recorded(folder, key)
        for file in artifact.files:
            found = (folder / safe_name(file.path)).lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_size != file.size_bytes:
                return None
    except (OSError, WireError, WeightsError):
        return None
    return artifact


def same_files(some: Sequence[WeightsFile], others: Sequence[WeightsFile]) -> bool:
    """Whether these are the same names with the same bytes, in any order."""
    return _bytes_of(some) == _bytes_of(others)


def as_held(
    files: Sequence[WeightsFile], held: Sequence[WeightsFile]
) -> tuple[WeightsFile, ...] | None:
    """The files under the names that they have in a folder; None when that holds other bytes.

    Args:
        files: With their sha256, as a source calls them.
        held: What the folder holds.
    """
    pairs = counterparts(files, held)
    if pairs is None or not all(_same_bytes(file, there) for file, there in pairs):
        return None
    return tuple(replace(file, path=there.path, sha256=there.sha256) for file, there in pairs)


def names_in(folder: Path, files: Sequence[WeightsFile]) -> tuple[WeightsFile, ...] | None:
    """The files under the names that they have in a folder, whether they are whole there or not.

    Several sources may have noted them, so a damaged manifest alone does not hide them.

    Returns:
        None where nobody has noted these bytes.
    """
    for path in (folder / MANIFEST, *sorted(folder.glob(".*.json"))):
        with suppress(OSError, WireError, WeightsError):
            found = as_held(files, read_manifest(path).files)
            if found is not None and len({safe_name(one.path) for one in found}) == len(found):
                return found
    return None


def renamed(held: Artifact, wanted: Artifact, files: tuple[WeightsFile, ...]) -> Artifact:
    """What is held, as another source calls it: `files` are the same bytes.

    What the headers say is the same for equal bytes; a newer resolve may know more.
    """
    return replace(
        held,
        files=files,
        size_bytes=sum(file.size_bytes for file in files),
        digest=wanted.digest,
        etag=wanted.etag,
        revision=wanted.revision,
        memory_bytes=held.memory_bytes if wanted.memory_bytes is None else wanted.memory_bytes,
    )


def _same_bytes(file: WeightsFile, held: WeightsFile) -> bool:
    known = (held.size_bytes, held.sha256.lower())
    return bool(file.sha256) and (file.size_bytes, file.sha256.lower()) == known


def _bytes_of(files: Sequence[WeightsFile]) -> list[tuple[str, int, str]]:
    return sorted((file.path, file.size_bytes, file.sha256) for file in files)


def _without_secrets(source: Source) -> Source:
    if source.http is None:
        return source
    url = describe_url(source.http.url)
    return Source(http=HttpSource(url=url, sha256=source.http.sha256))
