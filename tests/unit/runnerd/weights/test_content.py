"""Folders that are named after what they hold; most of it is tested by test_store."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from modelrunner_protocol.wire import FileKind, WeightsFile
from runnerd.weights.content import content_name, content_names, content_of, contents, users


def _file(path: str, sha256: str) -> WeightsFile:
    return WeightsFile(path=path, size_bytes=1, sha256=sha256)


def test_the_name_of_files_that_have_names_for_each_other() -> None:
    """That of names and bytes, in any order."""
    one, two = _file("a.safetensors", "ab"), _file("b.safetensors", "cd")
    assert content_name([one, two]) == content_name([two, one])
    assert content_name([one]) == content_name([_file("a.safetensors", "AB")])
    assert content_name([one]) != content_name([_file("b.safetensors", "ab")])
    assert len({content_name(files) for files in ([one], [two], [one, two])}) == 3
    assert content_names([one]) == (content_name([one]),)
    assert content_name([one]).startswith("sha256-")
    assert len(content_name([one])) == len("sha256-") + 64


def test_the_name_of_files_that_are_told_to_an_engine() -> None:
    """That of the bytes by kind and order, whatever a source calls them."""
    one, two = _file("a", "ab"), _file("b", "cd")
    eyes = replace(_file("eyes", "ef"), kind=FileKind.PROJECTOR)
    assert content_name([one]) == content_name([_file("x", "AB")])
    assert content_name([one, two]) == content_name([_file("x", "ab"), _file("a", "cd")])
    assert content_name([one, two, eyes]) == content_name([eyes, one, two])
    others = ([one], [two], [one, two], [two, one], [one, eyes], [replace(one, kind=eyes.kind)])
    assert len({content_name(files) for files in others}) == len(others)


def test_nothing_has_a_name_as_long_as_a_digest_is_not_known() -> None:
    """Nor has nothing."""
    assert content_name([]) == content_name([_file("a", "ab"), _file("c", "")]) == ""
    assert content_names([_file("c", "")]) == ()


def test_volumes_have_contents_under_the_name_of_before() -> None:
    """All names were part of it."""
    text = "a ab\nb cd\n"
    before = f"sha256-{sha256(text.encode()).hexdigest()}"
    files = [_file("b", "cd"), _file("a", "AB")]
    assert content_names(files) == (content_name(files), before)
    assert content_name(files) != before


def test_who_uses_a_content(tmp_path: Path) -> None:
    """Keys by name; not what is out of sight, nor what leads elsewhere."""
    name = content_name([_file("a", "ab")])
    (tmp_path / name).mkdir()
    (tmp_path / f"{name}.discarded").mkdir()
    for link in ("two", "one", "gone.discarded"):
        (tmp_path / link).symlink_to(name)
    (tmp_path / "out").symlink_to(f"../{name}")
    (tmp_path / f"sha256-{'0' * 64}").symlink_to("/etc")
    assert users(tmp_path, name) == ["one", "two"]
    assert contents(tmp_path) == [name, f"{name}.discarded"]
    assert content_of(tmp_path / "out") == content_of(tmp_path / "none") == ""
