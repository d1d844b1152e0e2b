"""What all ways into buckets have in common."""

import pytest

from modelrunner_protocol.wire import AzureSource, GcsSource
from runnerd.weights.buckets.azure import AzureEntrance
from runnerd.weights.buckets.entrance import is_own
from runnerd.weights.buckets.gcs import GcsEntrance


@pytest.mark.parametrize(
    ("endpoint", "own"),
    [
        ("", True),
        ("https://storage.googleapis.com", True),
        ("https://Storage-acme.p.GoogleAPIs.com:443/a", True),
        ("https://googleapis.com/", True),
        ("http://storage.googleapis.com", False),
        ("https://storage.googleapis.com:8443", False),
        ("https://evil.example/storage.googleapis.com", False),
        ("https://evilgoogleapis.com", False),
        ("https://storage.googleapis.com.evil.example", False),
        ("https://storage.googleapis.com@evil.example", False),
        ("https://evil.example\\@storage.googleapis.com", False),
        ("https://evil.example?x=.googleapis.com", False),
    ],
)
def test_servers_of_the_cloud(endpoint: str, own: bool) -> None:
    """Names in other parts of a URL, and URLs with two readings, are no such servers."""
    assert is_own(endpoint, ("googleapis.com",)) is own


def test_an_identity_is_shown_to_no_other_server() -> None:
    """Who writes a Model may name any server, and must not collect the pod's tokens there."""
    gcs = GcsEntrance(
        GcsSource(bucket="abc", endpoint="https://evil.example"),
        None,
        stall_timeout=1.0,
        environment={"GOOGLE_APPLICATION_CREDENTIALS": "key.json"},
    )
    assert not gcs.asker.identity
    assert not gcs.renew()
    azure = AzureEntrance(
        AzureSource(account="acme", container="abc", endpoint="https://evil.example"),
        None,
        stall_timeout=1.0,
        environment={"AZURE_FEDERATED_TOKEN_FILE": "token"},
    )
    assert not azure.asker.identity
