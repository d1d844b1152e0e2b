"""Versions of a source that moves: a tag, a branch, an object that is written anew.

A source has a key, and each version of what it holds has one. The first version's is the source's
own, as that of a source that never moves. A later one is named after what was found; it may hold
something else where the source moved once more during the pull, so versions are told apart by the
artifact that is written down beside them, never by their names.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import count

from modelrunner.domain import naming
from modelrunner.domain.objects import Object, annotation, text
from modelrunner_protocol.roles import by_role
from modelrunner_protocol.sources import KEY_LENGTH
from modelrunner_protocol.wire import Artifact, FileKind, WeightsFile

_WEAK = "W/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version that is somewhere: on a claim of ours, or where a Deployment serves it from.

    `artifact` None: nobody has written down what it is. `age_order` sorts the older first.
    """

    key: str
    artifact: Artifact | None
    complete: bool
    age_order: tuple[float, str] = (0.0, "")


def stored_version(model: Object, source_key: str) -> str | None:
    """The version that a Model's status says it wants of this source; None: it says nothing."""
    if text(model, "status", "source", "sourceKey") != source_key:
        return None
    return text(model, "status", "source", "key") or None


def version_key(source_key: str, artifact: Artifact, taken: Collection[str] = ()) -> str:
    """The name of a later version of a source, other than those that are `taken` by others."""
    for number in count():
        words = (source_key, _identity(artifact), *((str(number),) if number else ()))
        key = hashlib.sha256("\n".join(words).encode()).hexdigest()[:KEY_LENGTH]
        if key not in taken:
            return key
    raise AssertionError("numbers have no end")


def choose_version(source_key: str, artifact: Artifact, known: Sequence[Version]) -> str:
    """The version that holds these weights: one that is there already, else a new one."""
    for one in sorted(known, key=lambda item: (not item.complete, item.age_order)):
        if one.artifact is not None and same_weights(one.artifact, artifact):
            return one.key
    return version_key(source_key, artifact, {one.key for one in known})


def newest_version(known: Sequence[Version]) -> str | None:
    """What a Model takes that does not know of any version yet: the newest that is complete."""
    whole = [one for one in known if one.complete]
    return max(whole, key=lambda one: one.age_order).key if whole else None


def same_weights(old: Artifact, new: Artifact) -> bool:
    """Whether two looks at a source have seen the same weights.

    Equal files are the same, whatever the commit or the manifest around them is called, and
    whatever they are called themselves on a volume that had them from another source. Where a store
    tells neither digests nor versions, equal sizes have to be enough.
    """
    if old.digest and old.digest == new.digest:
        return True
    equal = _equal_digests(old, new)
    if equal is not None:
        return equal
    if old.digest and new.digest:
        return False
    if _strong(old.etag) and _strong(new.etag):
        return old.etag == new.etag
    return _alike(old, new)


def served_version(deployment: Object | None, source_key: str) -> str | None:
    """The version of this source that a Deployment serves; None: none of it."""
    if deployment is None:
        return None
    key = annotation(deployment, naming.ARTIFACT_KEY_ANNOTATION)
    if key == source_key or annotation(deployment, naming.SOURCE_KEY_ANNOTATION) == source_key:
        return key or None
    return None


def written_version(model: Object, source_key: str, deployment: Object | None) -> str | None:
    """The version that a Model wants, as its status has it, else its Deployment; None: neither."""
    return stored_version(model, source_key) or served_version(deployment, source_key)


def _identity(artifact: Artifact) -> str:
    if artifact.digest:
        return artifact.digest
    files = sorted((file.path, file.size_bytes, file.etag) for file in artifact.files)
    return repr((artifact.etag, artifact.revision, artifact.size_bytes, files))


def _strong(etag: str) -> bool:
    return bool(etag) and not etag.startswith(_WEAK)


def _equal_digests(old: Artifact, new: Artifact) -> bool | None:
    """Whether all files have the same digests; None where one is not known or not listed."""
    both = (old, new)
    if not all(_listed(one) and all(file.sha256 for file in one.files) for one in both):
        return None
    # An import of model files has no license where its registry has one: no engine reads it.
    licensed = all(any(_is_license(file) for file in one.files) for one in both)
    before, after = (
        by_role([file for file in one.files if licensed or not _is_license(file)]) for one in both
    )
    return {role: file.sha256 for role, file in before.items()} == {
        role: file.sha256 for role, file in after.items()
    }


def _is_license(file: WeightsFile) -> bool:
    return file.kind is FileKind.LICENSE


def _listed(artifact: Artifact) -> bool:
    return sum(file.size_bytes for file in artifact.files) == artifact.size_bytes


def _alike(old: Artifact, new: Artifact) -> bool:
    """By what both tell of each file; of a list that was cut short, by what is in both."""
    if old.size_bytes != new.size_bytes:
        return False
    before, after = (by_role(one.files) for one in (old, new))
    if _listed(old) and _listed(new) and before.keys() != after.keys():
        return False
    return all(_same_file(before[role], after[role]) for role in before.keys() & after.keys())


def _same_file(old: WeightsFile, new: WeightsFile) -> bool:
    if old.size_bytes != new.size_bytes:
        return False
    if old.sha256 and new.sha256:
        return old.sha256 == new.sha256
    return old.etag == new.etag or not (_strong(old.etag) and _strong(new.etag))
