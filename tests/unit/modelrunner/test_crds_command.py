"""`modelrunner crds` writes what the models say and finds drift."""

from pathlib import Path

import pytest

from modelrunner.api.crds import HEADER
from modelrunner.crds_command import main

ROOT = Path(__file__).parents[3]


def test_the_repository_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """`crds/` and `docs/reference/` are what the models say; else run `make crds`."""
    monkeypatch.chdir(ROOT)
    assert main(["--check", "--reference", "docs/reference", "crds"]) == 0


def test_written_files_pass_the_check(tmp_path: Path) -> None:
    """What the command has written is what it wants, the second time too."""
    arguments = ["--reference", str(tmp_path / "docs"), str(tmp_path / "crds")]
    assert main(arguments) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert len(before) == 4
    assert main(arguments) == 0
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert main(["--check", *arguments]) == 0


def test_a_drift_is_shown_and_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check fails with a diff and the command that mends it."""
    main([str(tmp_path)])
    changed = tmp_path / "models.modelrunner.dev.yaml"
    text = changed.read_text("utf-8").replace("- mdl", "- mm")
    changed.write_text(text, "utf-8")
    assert main(["--check", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "-    - mm\n+    - mdl\n" in out
    assert "make crds" in err
    assert changed.read_text("utf-8") == text


def test_a_missing_folder_is_a_drift(tmp_path: Path) -> None:
    """Nothing there is not what the models say."""
    assert main(["--check", str(tmp_path / "none")]) == 1
    assert not (tmp_path / "none").exists()


def test_own_files_that_are_not_wanted_any_more_go(tmp_path: Path) -> None:
    """A definition of an earlier version is a drift and is removed; a stranger's file is kept."""
    main([str(tmp_path)])
    old, foreign = tmp_path / "old.yaml", tmp_path / "foreign.yaml"
    old.write_text(HEADER + "kind: Old\n", "utf-8")
    foreign.write_text("kind: Foreign\n", "utf-8")
    assert main(["--check", str(tmp_path)]) == 1
    assert main([str(tmp_path)]) == 0
    assert not old.exists()
    assert foreign.exists()


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The command explains itself."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "--check" in capsys.readouterr().out
