"""The command line."""

from pathlib import Path

import pytest

from tests.cluster.__main__ import main

COMMANDS = (
    "build",
    "up",
    "down",
    "status",
    "kubeconfig",
    "exec-env",
    "load",
    "control-plane",
    "control-plane-down",
)


@pytest.fixture
def nothing_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A run folder in which nothing runs, and no Docker."""
    monkeypatch.setenv("MODEL_RUNNER_RUN", str(tmp_path / "run"))
    monkeypatch.delenv("MODEL_RUNNER_TEST_KUBECONFIG", raising=False)
    monkeypatch.setattr("tests.cluster.providers._docker_answers", lambda: False)
    return tmp_path / "run"


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_every_command_explains_itself(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """--help works everywhere and changes nothing."""
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    assert end.value.code == 0
    assert "usage: python -m tests.cluster" in capsys.readouterr().out


def test_kubeconfig_works_while_down(nothing_up: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts get the path alone on stdout; a person is told on stderr that it is down."""
    assert main(["kubeconfig"]) == 0
    told = capsys.readouterr()
    assert told.out == f"{nothing_up}/cluster/kubeconfig\n"
    assert "the cluster is down" in told.err


def test_status_tells_by_its_exit_code(
    nothing_up: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script can ask."""
    assert main(["status"]) == 1
    assert "embedded cluster: down" in capsys.readouterr().out


def test_down_while_down_is_fine(nothing_up: Path) -> None:
    """It makes no folder either."""
    assert main(["down"]) == 0
    assert not nothing_up.exists()


def test_errors_are_one_paragraph(
    nothing_up: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a user can mend comes without a stack trace."""
    assert main(["load", str(tmp_path / "missing.tar")]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/missing.tar is not a file\n"
    (tmp_path / "image.tar").touch()
    assert main(["load", str(tmp_path / "image.tar")]) == 1
    assert "the cluster is down: run" in capsys.readouterr().err
