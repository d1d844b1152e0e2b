"""Who asks Azure, and with which keys."""

from pathlib import Path

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import AzureSource, Credentials
from runnerd.weights.buckets.azure import CLIENT_KEYS, IDENTITIES, AzureEntrance, Keys, read_keys
from runnerd.weights.failure import WeightsError

SOURCE = AzureSource(account="acme", container="models")
KEY, SIGNATURE = "a2V5", "sv=2024-11-04&sig=abc%3D"


def _secret(folder: Path, **files: str) -> Credentials:
    for name, text in files.items():
        (folder / name).write_text(text)
    return Credentials(secret="s", folder=str(folder))


@pytest.mark.parametrize(
    ("files", "keys"),
    [
        ({"AZURE_STORAGE_ACCOUNT_KEY": f"{KEY}\n"}, {"account": KEY}),
        ({"AZURE_STORAGE_SAS_TOKEN": f"?{SIGNATURE}"}, {"signature": f"?{SIGNATURE}"}),
        (dict.fromkeys(CLIENT_KEYS, "x"), {"client": ("x", "x", "x")}),
        (dict.fromkeys(CLIENT_KEYS, "x") | {"AZURE_STORAGE_ACCOUNT_KEY": KEY}, {"account": KEY}),
    ],
)
def test_kinds_of_keys(files: dict[str, str], keys: dict[str, object], tmp_path: Path) -> None:
    """The account's key, a signature or a client; the first that is there, and none is shown."""
    found = read_keys(_secret(tmp_path, **files))
    names = tuple(name for name in files if len(files) < 4 or "ACCOUNT" in name)
    assert found == Keys(names=names, **keys)  # type: ignore[arg-type]  # one of its fields
    for text in files.values():
        assert text == "x" or text.strip() not in repr(found)
    AzureEntrance(SOURCE, _secret(tmp_path), stall_timeout=1.0).connect()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "none of the keys AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN or AZURE_CLIENT"),
        (
            {"AZURE_STORAGE_ACCOUNT_KEY": "a&b"},
            "AZURE_STORAGE_ACCOUNT_KEY of the Secret s does not",
        ),
        ({"AZURE_STORAGE_ACCOUNT_KEY": ""}, "does not hold such a key"),
        ({"AZURE_STORAGE_SAS_TOKEN": "sv=1"}, "AZURE_STORAGE_SAS_TOKEN of the Secret s does not"),
        ({"AZURE_CLIENT_ID": "x"}, "it has no key AZURE_CLIENT_SECRET and AZURE_TENANT_ID"),
    ],
)
def test_broken_secrets(files: dict[str, str], says: str, tmp_path: Path) -> None:
    """The message names the key and the command that makes the Secret; it may be mended."""
    with pytest.raises(WeightsError, match=says) as caught:
        read_keys(_secret(tmp_path, **files))
    recipe = "kubectl create secret generic s --from-literal=AZURE_STORAGE_ACCOUNT_KEY=…"
    assert recipe in str(caught.value)
    assert caught.value.retryable


def test_keys_that_are_replaced_are_taken_over(tmp_path: Path) -> None:
    """Signatures expire; a Secret that is half written changes nothing."""
    entrance = AzureEntrance(
        SOURCE, _secret(tmp_path, AZURE_STORAGE_SAS_TOKEN=SIGNATURE), stall_timeout=1.0
    )
    assert not entrance.renew()
    _secret(tmp_path, AZURE_STORAGE_SAS_TOKEN="")
    assert not entrance.renew()
    _secret(tmp_path, AZURE_STORAGE_SAS_TOKEN="sig=new")
    assert entrance.renew()
    assert not entrance.renew()


@pytest.mark.parametrize("name", IDENTITIES)
def test_an_identity_is_known_by_the_environment(name: str) -> None:
    """What platforms set; without any of it nothing is signed."""
    environment = {name: "http://127.0.0.1:1/token" if name.endswith("ENDPOINT") else "x"}
    entrance = AzureEntrance(SOURCE, None, stall_timeout=1.0, environment=environment)
    assert entrance.asker.identity
    assert not entrance.renew()
    assert not AzureEntrance(SOURCE, None, stall_timeout=1.0, environment={}).asker.identity


def test_plain_http_has_to_be_meant() -> None:
    """Nobody's keys and weights go over the wire by a slip."""
    source = AzureSource(account="acme", container="abc", endpoint="http://s.invalid")
    with pytest.raises(WeightsError, match=r"set spec\.source\.azure\.insecure to true") as caught:
        AzureEntrance(source, None, stall_timeout=1.0)
    assert caught.value.reason is Reason.INVALID_CONFIGURATION
