"""`tests.images.inputs` and the images' keys."""

import os
from pathlib import Path

import pytest

from tests.cluster.settings import ROOT
from tests.images.build import OPERATOR, RUNNER, image_key
from tests.images.inputs import copy_files, digest_of_files, digest_of_texts


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with a file, a program and what Python leaves behind."""
    (tmp_path / "src" / "__pycache__").mkdir(parents=True)
    (tmp_path / "src" / "a.py").write_text("1")
    (tmp_path / "src" / "__pycache__" / "a.pyc").write_text("1")
    (tmp_path / "b").write_text("2")
    return tmp_path


def test_parts_do_not_run_together() -> None:
    """Where one text ends counts."""
    assert digest_of_texts("ab", "c") != digest_of_texts("a", "bc")


def test_contents_names_and_modes_count_and_times_do_not(tree: Path) -> None:
    """A checkout somewhere else, later, with bytecode, has the same digest; an edit does not."""
    before = digest_of_files(tree, ["src", "b"])
    os.utime(tree / "b", (1, 1))
    (tree / "src" / "__pycache__" / "a.pyc").write_text("other")
    assert digest_of_files(tree, ["b", "src"]) == before
    (tree / "b").chmod(0o755)
    assert digest_of_files(tree, ["src", "b"]) != before
    (tree / "b").chmod(0o644)
    (tree / "src" / "a.py").rename(tree / "src" / "c.py")
    assert digest_of_files(tree, ["src", "b"]) != before


def test_a_copy_has_the_digest_of_its_original(tree: Path, tmp_path: Path) -> None:
    """What is built is what was hashed."""
    copy_files(tree, ["src", "b"], tmp_path / "copy")
    assert digest_of_files(tmp_path / "copy", ["src", "b"]) == digest_of_files(tree, ["src", "b"])
    assert not (tmp_path / "copy" / "src" / "__pycache__").exists()


def test_a_key_is_a_word_and_follows_the_base() -> None:
    """A tag of digits only would reach Helm as a number."""
    key = image_key(RUNNER, "base", "engine")
    assert len(key) == 12
    assert key[0].isalpha()
    assert image_key(RUNNER, "base", "other engine") != key
    assert image_key(OPERATOR, "base") != key


def test_the_inputs_are_what_reaches_a_builder() -> None:
    """.dockerignore lets through what the keys are computed of, and nothing is copied unhashed."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    shown = {line[1:] for line in lines if line.startswith("!")}
    inputs = {*OPERATOR.inputs, *RUNNER.inputs}
    sent = {path for path in inputs if not path.endswith((".dockerignore", "Dockerfile"))}
    assert shown == sent | {"requirements/wheels"}
