"""The way into a bucket, which each kind of store has its own of."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.sources import Bucket as BucketSource
from runnerd.weights.buckets.refusal import Asker
from runnerd.weights.failure import WeightsError
from runnerd.weights.http_session import CONNECT_TIMEOUT

if TYPE_CHECKING:
    # They are in its type stubs only.
    from obstore.store import ObjectStore

# Of the whole answer: a part may take as long as it likes, while bytes come.
_NO_END: Final = timedelta(days=365)
# Strict: two readers of an odd URL may find two hosts in it.
_ENCRYPTED: Final = re.compile(r"https://([A-Za-z0-9.-]+)(?::443)?(?:/[A-Za-z0-9._/-]*)?")


class Entrance(Protocol):
    """How one bucket is entered, as one user."""

    @property
    def asker(self) -> Asker:
        """Who asks for what, as of now."""

    def connect(self) -> "ObjectStore":
        """The client library's store.

        Raises:
            WeightsError: the Secret is not good.
        """

    def renew(self) -> bool:
        """After a refusal: whether `connect` would come as somebody else now."""


def known(environment: Mapping[str, str], names: tuple[str, ...]) -> bool:
    """Whether the platform tells a pod who it is, by one of these variables."""
    return any(environment.get(name) for name in names)


def is_own(endpoint: str, domains: tuple[str, ...]) -> bool:
    """Whether a server is the cloud's own, or the one that the environment names.

    A pod's identity is shown to no other: whoever gets such a token can use it for all that the
    identity may do, and Models are written by other people than service accounts.

    Args:
        endpoint: The URL that a Model names, "" for none.
        domains: The cloud's names.
    """
    found = _ENCRYPTED.fullmatch(endpoint)
    host = found[1].lower() if found else ""
    return not endpoint or any(f".{host}".endswith(f".{domain}") for domain in domains)


def client(source: BucketSource, stall_timeout: float) -> dict[str, Any]:
    """Settings of the library that are equal for all stores.

    Args:
        source: What is asked for.
        stall_timeout: Seconds without a byte after which a connection is dead.
    """
    return {
        "client_options": {
            "allow_http": source.insecure,
            "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT),
            "read_timeout": timedelta(seconds=stall_timeout),
            "timeout": _NO_END,
        },
        # Ours resume, wait as told and end.
        "retry_config": {"max_retries": 0, "retry_timeout": timedelta(0)},
    }


def check_endpoint(source: BucketSource, field: str) -> None:
    """Refuse to speak plain http by a slip.

    Raises:
        WeightsError: nobody has said that it may be.
    """
    if source.endpoint.startswith("http://") and not source.insecure:
        raise WeightsError(
            f"{source.endpoint} is plain http, where everybody on the way can read the weights: use "
            f"https://, or set {field}.insecure to true",
            reason=Reason.INVALID_CONFIGURATION,
        )
