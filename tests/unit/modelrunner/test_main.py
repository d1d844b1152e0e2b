"""The command line."""

import pytest

from modelrunner.__main__ import main

COMMANDS = ["operator", "gateway", "crds", "api-key"]


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_is_everywhere(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each command explains itself."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    assert "usage: modelrunner" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [[], ["dance"], ["operator", "--fast"], ["gateway", "--fast"]]
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    """As every command line tool does."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("command", "variable"),
    [("operator", "MODELRUNNER_WORKERS"), ("gateway", "MODELRUNNER_GATEWAY_HTTP_PORT")],
)
def test_a_bad_setting_is_one_line_and_2(
    command: str,
    variable: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No stack for a typo in a deployment."""
    monkeypatch.setenv("POD_NAMESPACE", "ns")
    monkeypatch.setenv(variable, "many")
    assert main([command]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith(f"modelrunner {command}: ")
    assert variable in told
