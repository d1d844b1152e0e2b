"""`modelrunner api-key`: what it prints is a key, and the Secret that lets it in."""

import base64
import re
from typing import Any

import pytest
import yaml

from modelrunner.gateway.auth.command import main
from modelrunner.gateway.auth.keyring import KeyRing

Captured = pytest.CaptureFixture[str]


def made(capsys: Captured, *words: str) -> tuple[str, dict[str, Any]]:
    """The key and the Secret's manifest."""
    assert main(words) == 0
    out, err = capsys.readouterr()
    return err.removesuffix("\n"), yaml.safe_load(out)


def stored(manifest: dict[str, Any]) -> dict[str, Any]:
    """The Secret as the API server gives it back: stringData becomes data."""
    data = {
        name: base64.b64encode(value.encode()).decode()
        for name, value in manifest["stringData"].items()
    }
    return {"metadata": manifest["metadata"], "data": data}


def test_the_key_opens_what_its_secret_describes(capsys: Captured) -> None:
    """The two halves fit, and the key is nowhere in the Secret."""
    key, manifest = made(capsys)
    ring = KeyRing()
    ring.put(stored(manifest))
    found = ring.find(key.encode())
    assert found is not None
    assert found.scopes == {"infer"}
    assert re.fullmatch(r"mrk_[\w-]{43}", key)
    assert key not in str(manifest)
    assert manifest["metadata"]["labels"] == {"modelrunner.dev/api-key": "true"}
    assert made(capsys)[0] != key


def test_elsewhere_the_namespace_is_kubectls(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest names none unless it is told one."""
    monkeypatch.delenv("POD_NAMESPACE", raising=False)
    assert "namespace" not in made(capsys)[1]["metadata"]


def test_everything_that_can_be_said(capsys: Captured) -> None:
    """All bounds arrive, and every value is text, as a Secret needs."""
    key, manifest = made(
        capsys,
        *("--name", "alice", "--namespace", "123", "--scopes", "manage, infer"),
        *("--models", "team-a/*,b/c", "--max-concurrent", "4", "--requests-per-minute", "060"),
        *("--expires", "2030-01-31T00:00:00Z"),
    )
    assert manifest["metadata"]["name"] == "alice"
    assert manifest["metadata"]["namespace"] == "123"
    assert all(isinstance(value, str) for value in manifest["stringData"].values())
    ring = KeyRing(clock=lambda: 0.0)
    ring.put(stored(manifest))
    found = ring.find(key.encode())
    assert found is not None
    assert found.name == "alice"
    assert found.scopes == {"infer", "manage"}
    assert found.models.text == "team-a/* b/c"
    assert (found.concurrent, found.per_minute) == (4, 60)
    assert found.expires == 1896048000.0


def test_in_a_pod_of_the_gateway_its_namespace_is_known(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that `kubectl exec … | kubectl apply` puts the Secret where it is looked for."""
    monkeypatch.setenv("POD_NAMESPACE", "model-runner-system")
    assert made(capsys)[1]["metadata"]["namespace"] == "model-runner-system"
    assert made(capsys, "--namespace", "other")[1]["metadata"]["namespace"] == "other"


@pytest.mark.parametrize(("span", "seconds"), [("90d", 90 * 86400), ("12h", 12 * 3600)])
def test_a_span_until_the_end(capsys: Captured, span: str, seconds: int) -> None:
    """Nobody has to compute a date."""
    key, manifest = made(capsys, "--expires", span)
    ring = KeyRing(clock=lambda: 0.0)
    ring.put(stored(manifest))
    found = ring.find(key.encode())
    _, reference = made(capsys, "--expires", "1h")
    later = KeyRing(clock=lambda: 0.0)
    later.put(stored(reference))
    (hour,) = later._keys.values()
    assert found is not None
    assert found.expires is not None
    assert hour.expires is not None
    assert 0 <= hour.expires - 3600 - (found.expires - seconds) < 600


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--name", "Alice"), "must be lower-case"),
        (("--scopes", "everything"), "holds something else than infer, manage"),
        (("--models", "smollm2"), "pattern 1 is neither"),
        (("--max-concurrent", "0"), "whole number above zero"),
        (("--requests-per-minute", "many"), "whole number above zero"),
        (("--expires", "soon"), "is not a time"),
        (("--expires", "2030-01-31"), "names no time zone"),
    ],
)
def test_a_mistake_makes_no_key(capsys: Captured, words: tuple[str, str], message: str) -> None:
    """What is wrong is said, and standard output stays empty for the pipe behind."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert out == ""
    assert message in err
    assert "mrk_" not in err
