"""Versions of a source: when two looks have seen the same weights, and what a version is called."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner.domain.versions import (
    Version,
    choose_version,
    newest_version,
    same_weights,
    served_version,
    stored_version,
    version_key,
    written_version,
)
from modelrunner_protocol.wire import Artifact, FileKind, WeightsFile

ONE, OTHER = "1" * 64, "2" * 64
LICENSE = WeightsFile(path="LICENSE", size_bytes=1, sha256="3" * 64, kind=FileKind.LICENSE)
TEMPLATE = replace(LICENSE, path="template.jinja", kind=FileKind.CHAT_TEMPLATE)


def artifact(*files: WeightsFile, **more: Any) -> Artifact:
    """An artifact of these files."""
    size = more.pop("size_bytes", sum(file.size_bytes for file in files))
    return Artifact(format="gguf", size_bytes=size, files=files, **more)


def file(sha256: str = "", size: int = 5, path: str = "m.gguf", etag: str = "") -> WeightsFile:
    """One file."""
    return WeightsFile(path=path, size_bytes=size, sha256=sha256, etag=etag)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        # A registry: the manifest's digest, or the same layers under another manifest.
        (artifact(file(), digest="sha256:m"), artifact(file(), digest="sha256:m"), True),
        (artifact(file(ONE), digest="sha256:m"), artifact(file(ONE), digest="sha256:n"), True),
        (artifact(file(ONE), digest="sha256:m"), artifact(file(OTHER), digest="sha256:n"), False),
        (artifact(file(), digest="sha256:m"), artifact(file(), digest="sha256:n"), False),
        # Imported: called after its bytes, and without the license that its registry has.
        (artifact(file(ONE), digest="sha256:1"), artifact(file(ONE), digest="sha256:m"), True),
        (
            artifact(file(ONE), digest="sha256:1"),
            artifact(file(ONE), LICENSE, digest="sha256:m"),
            True,
        ),
        (
            artifact(file(ONE), digest="sha256:1"),
            artifact(file(OTHER), LICENSE, digest="sha256:m"),
            False,
        ),
        (artifact(file(ONE), LICENSE), artifact(file(ONE), replace(LICENSE, sha256=ONE)), False),
        (artifact(file(ONE)), artifact(file(ONE), TEMPLATE), False),
        (artifact(file(ONE), digest="sha256:1"), artifact(file(ONE), revision="a"), True),
        # On a volume that had the bytes from another source, under that one's names.
        (artifact(file(ONE)), artifact(file(ONE, path="n.gguf")), True),
        (artifact(file(ONE)), artifact(file(path="n.gguf", etag='W/"1"')), True),
        (artifact(file(ONE)), artifact(file(path="n.gguf", size=6)), False),
        (
            artifact(file(ONE, path="a"), file(OTHER, path="b")),
            artifact(file(OTHER, path="a"), file(ONE, path="b")),
            False,
        ),
        (
            artifact(file(ONE, path="m.safetensors")),
            artifact(file(ONE, path="n.safetensors")),
            False,
        ),
        # The Hub: another commit with the same files.
        (artifact(file(ONE), revision="a"), artifact(file(ONE), revision="b"), True),
        (artifact(file(ONE), revision="a"), artifact(file(OTHER), revision="b"), False),
        (
            artifact(file(ONE), file(size=1, path="c.json"), revision="a"),
            artifact(file(ONE), file(size=1, path="c.json"), revision="b"),
            True,
        ),
        (
            artifact(file(ONE), file(size=1, path="c.json"), revision="a"),
            artifact(file(OTHER), file(size=1, path="c.json"), revision="b"),
            False,
        ),
        # A file behind a URL: what was pulled has a digest, what is looked at has none.
        (artifact(file(ONE), digest="sha256:x", etag='"1"'), artifact(file(), etag='"1"'), True),
        (artifact(file(ONE), digest="sha256:x", etag='"1"'), artifact(file(), etag='"2"'), False),
        (
            artifact(file(ONE), digest="sha256:x", etag='W/"1"'),
            artifact(file(), etag='W/"2"'),
            True,
        ),
        (artifact(file(ONE), digest="sha256:x"), artifact(file(), etag='"1"'), True),
        (artifact(file(ONE), digest="sha256:x"), artifact(file(size=6)), False),
        # Objects of a bucket: each has a version of its own.
        (artifact(file(ONE, etag='"1"')), artifact(file(etag='"1"')), True),
        (artifact(file(ONE, etag='"1"')), artifact(file(etag='"2"')), False),
        (artifact(file(ONE)), artifact(file(), file(path="n.gguf", size=0)), False),
        # A list that was cut short says nothing of the rest but its size.
        (artifact(file(etag='"1"'), size_bytes=9), artifact(file(etag='"1"'), size_bytes=9), True),
        (artifact(file(etag='"1"'), size_bytes=9), artifact(file(etag='"1"'), size_bytes=8), False),
        (artifact(file(ONE), size_bytes=9), artifact(file(ONE), file(path="b", size=4)), True),
    ],
)
def test_what_is_the_same(old: Artifact, new: Artifact, same: bool) -> None:
    """By the best that both looks tell; the order of the two makes no difference."""
    assert same_weights(old, new) is same
    assert same_weights(new, old) is same


_FILES = st.lists(
    st.builds(
        file,
        st.sampled_from(["", ONE, OTHER]),
        st.integers(1, 3),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["", '"1"', 'W/"1"']),
    ),
    max_size=2,
    unique_by=lambda one: one.path,
)


@given(_FILES, st.sampled_from(["", "sha256:m"]), st.sampled_from(["", '"e"', 'W/"e"']))
def test_weights_are_the_same_as_themselves(
    files: list[WeightsFile], digest: str, etag: str
) -> None:
    """Whatever is known of them, under whatever commit; so nothing moves without a reason."""
    found = artifact(*files, digest=digest, etag=etag, revision="a")
    assert same_weights(found, replace(found, revision="b"))
    assert choose_version("k", found, [Version(key="v", artifact=found, complete=True)]) == "v"


def test_a_version_is_called_after_what_it_holds() -> None:
    """16 hex digits, other ones for another source, digest, ETag or try."""
    by_digest = artifact(file(), digest="sha256:a")
    names = [
        version_key("k", by_digest),
        version_key("l", by_digest),
        version_key("k", artifact(file(), digest="sha256:b")),
        version_key("k", artifact(file(), etag='"1"')),
        version_key("k", artifact(file(), etag='"2"')),
        version_key("k", by_digest, {version_key("k", by_digest)}),
    ]
    assert len(set(names)) == len(names)
    assert {len(name) for name in names} == {16}
    assert version_key("k", by_digest) == names[0]


def test_a_version_that_is_there_is_found_again() -> None:
    """The complete one before the one under way; a name that holds something else is left alone."""
    found, other = artifact(file(ONE)), artifact(file(OTHER))
    name = version_key("k", found)
    here = Version(key="old", artifact=found, complete=True, age_order=(1.0, ""))
    half = Version(key="half", artifact=found, complete=False, age_order=(0.0, ""))
    taken = Version(key=name, artifact=other, complete=True)
    assert choose_version("k", found, [half, here, taken]) == "old"
    assert choose_version("k", found, [half]) == "half"
    assert choose_version("k", found, []) == name
    assert choose_version("k", found, [taken]) not in {name, "k"}
    unknown = Version(key=name, artifact=None, complete=False)
    assert choose_version("k", found, [unknown]) != name


def test_the_newest_complete_version_is_where_a_new_model_begins() -> None:
    """One that is being pulled is nobody's yet."""
    old = Version(key="a", artifact=None, complete=True, age_order=(1.0, ""))
    new = Version(key="b", artifact=None, complete=True, age_order=(2.0, ""))
    half = Version(key="c", artifact=None, complete=False, age_order=(3.0, ""))
    assert newest_version([new, half, old]) == "b"
    assert newest_version([half]) is newest_version([]) is None


def deployment(key: str, source_key: str = "") -> dict[str, Any]:
    """A Deployment that serves this version."""
    found = {"modelrunner.dev/artifact-key": key}
    if source_key:
        found["modelrunner.dev/source-key"] = source_key
    return {"metadata": {"annotations": found}}


def test_what_is_written_down_of_the_wanted_version() -> None:
    """The status of this source, else the Deployment, if it serves this source."""
    told = {"status": {"source": {"sourceKey": "k", "key": "v2"}}}
    assert stored_version(told, "k") == "v2"
    assert stored_version(told, "other") is stored_version({}, "k") is None
    assert served_version(deployment("k"), "k") == "k"
    assert served_version(deployment("v3", "k"), "k") == "v3"
    assert served_version(deployment("v3"), "k") is None
    assert served_version(deployment("v3", "l"), "k") is served_version(None, "k") is None
    assert written_version(told, "k", deployment("v3", "k")) == "v2"
    assert written_version({}, "k", deployment("v3", "k")) == "v3"
    assert written_version({}, "k", None) is None
