"""The command line."""

import pytest

from modelrunner.__main__ import main


@pytest.mark.parametrize("arguments", [["--help"], ["operator", "--help"], ["crds", "--help"]])
def test_help_is_everywhere(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each command explains itself."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    assert "usage: modelrunner" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["dance"], ["operator", "--fast"]])
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    """As every command line tool does."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_a_bad_setting_is_one_line_and_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No stack for a typo in a deployment."""
    monkeypatch.setenv("POD_NAMESPACE", "ns")
    monkeypatch.setenv("MODELRUNNER_WORKERS", "many")
    assert main(["operator"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "MODELRUNNER_WORKERS" in told
