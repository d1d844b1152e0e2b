"""Folders that are named after what they hold; most of it is tested by test_store."""

from pathlib import Path

from modelrunner_protocol.wire import WeightsFile
from runnerd.weights.content import content_name, content_of, contents, users


def _file(path: str, sha256: str) -> WeightsFile:
    return WeightsFile(path=path, size_bytes=1, sha256=sha256)


def test_the_name_is_that_of_names_and_bytes() -> None:
    """In any order; nothing has a name as long as a digest is not known."""
    one, two = _file("a", "ab"), _file("b", "cd")
    assert content_name([one, two]) == content_name([two, one])
    assert content_name([one]) == content_name([_file("a", "AB")])
    assert content_name([one]) != content_name([_file("b", "ab")])
    assert len({content_name(files) for files in ([one], [two], [one, two])}) == 3
    assert content_name([one]).startswith("sha256-")
    assert len(content_name([one])) == len("sha256-") + 64
    assert content_name([]) == content_name([one, _file("c", "")]) == ""


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
