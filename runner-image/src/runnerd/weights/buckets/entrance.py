"""The way into a bucket, which each kind of store has its own of."""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Protocol, TypeVar

from obstore.exceptions import BaseError
from yarl import URL

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.sources import Bucket as BucketSource
from modelrunner_protocol.sources import describe_url
from modelrunner_protocol.wire import Credentials
from runnerd.weights.buckets.refusal import Asker
from runnerd.weights.failure import WeightsError
from runnerd.weights.settings import CONNECT_TIMEOUT

if TYPE_CHECKING:
    # They are in its type stubs only.
    from obstore.store import ObjectStore

SourceT = TypeVar("SourceT", bound=BucketSource)
KeysT = TypeVar("KeysT")

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


class StoreEntrance(ABC, Generic[SourceT, KeysT]):
    """A bucket of one kind of store; see `Entrance`.

    Args:
        source: Which one.
        credentials: The user's Secret. Without it the pod's own identity is used where the
            environment has one, for the cloud's own servers only; without that nothing is signed.
        stall_timeout: Seconds without a byte after which a connection is dead.
        environment: Where an identity is looked for.

    Attributes:
        identities: Variables by which a platform tells a pod who it is.
        servers: The hosts of the cloud itself.
        endpoint_variables: What names another server to the client library; the first one is told.
        token_variables: What names the servers that give tokens to the pod's identity.

    Raises:
        WeightsError: the Secret or the endpoint is not good.
    """

    field: ClassVar[str]
    identities: ClassVar[tuple[str, ...]]
    servers: ClassVar[re.Pattern[str]]
    endpoint_variables: ClassVar[tuple[str, ...]]
    token_variables: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        source: SourceT,
        credentials: Credentials | None,
        *,
        stall_timeout: float,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        check_endpoint(source, self.field)
        if not source.endpoint:
            for name in self.endpoint_variables:
                _check_variable(name, environment)
        self._source = source
        self._credentials = credentials
        self._stall_timeout = stall_timeout
        self._keys = self._read_keys(credentials) if credentials else None
        self._own = is_own(source.endpoint, self.servers)
        identity = self._has_identity(environment)
        if identity and self._own and not credentials:
            for name in self.token_variables:
                _check_variable(name, environment)
        self.asker = replace(
            self._asking(),
            secret=credentials.secret if credentials else "",
            identity=identity and self._own,
            withheld="" if self._own or not identity else self.endpoint_variables[0],
            variable="" if source.endpoint else self._variable(environment),
        )

    def connect(self) -> "ObjectStore":
        """The library's store; see `Entrance`."""
        try:
            return self._open(client(self._source, self._stall_timeout))
        except (BaseError, ValueError):
            # Not `from error`: its text may hold what is secret.
            raise self._unusable() from None

    def renew(self) -> bool:
        """Whether the Secret was replaced; one that is half written is none."""
        try:
            found = self._read_keys(self._credentials) if self._credentials else None
        except WeightsError:
            return False
        found, self._keys = self._keys, found
        return found != self._keys

    @abstractmethod
    def _read_keys(self, credentials: Credentials) -> KeysT:
        """What the Secret holds."""

    @abstractmethod
    def _asking(self) -> Asker:
        """Who asks for what, whatever proves it."""

    @abstractmethod
    def _open(self, settings: dict[str, Any]) -> "ObjectStore":
        """The library's store, with these settings and those of its kind."""

    def _has_identity(self, environment: Mapping[str, str]) -> bool:
        """Whether the platform tells a pod who it is."""
        return any(environment.get(name) for name in self.identities)

    def _variable(self, environment: Mapping[str, str]) -> str:
        """Which of the variables names plain http, else the first one that is there."""
        found = [name for name in self.endpoint_variables if environment.get(name)]
        plain = [name for name in found if environment[name].lower().startswith("http://")]
        return next(iter(plain + found), "")

    def _store_in_words(self, usual: str) -> str:
        return describe_url(self._source.endpoint) if self._source.endpoint else usual

    def _unusable(self) -> WeightsError:
        """The library takes neither what it was given nor what the environment holds."""
        prefix = self.endpoint_variables[0].partition("_")[0]
        return WeightsError(
            f"the way to {self.asker.where} cannot be set up: one of the variables {prefix}_… of the "
            "ModelRunner's env is not understood: correct or remove it",
            reason=Reason.INVALID_CONFIGURATION,
        )


def is_own(endpoint: str, servers: re.Pattern[str]) -> bool:
    """Whether a server is the cloud's own, or the one that the environment names.

    A pod's identity is shown to no other: whoever gets such a token can use it for all that the
    identity may do, and Models are written by other people than service accounts.

    Args:
        endpoint: The URL that a Model names, "" for none.
        servers: The cloud's hosts, in small letters.
    """
    found = _ENCRYPTED.fullmatch(endpoint)
    return not endpoint or (found is not None and servers.fullmatch(found[1].lower()) is not None)


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
    """Refuse to speak plain http by a slip, and what is no address of a server.

    Raises:
        WeightsError: nobody has said that it may be, or there is no such address.
    """
    if source.endpoint and not _is_server(source.endpoint):
        raise WeightsError(
            f"{describe_url(source.endpoint)} is not the address of a server: correct {field}.endpoint",
            reason=Reason.INVALID_CONFIGURATION,
        )
    if source.endpoint.startswith("http://") and not source.insecure:
        raise WeightsError(
            f"{source.endpoint} is plain http, where everybody on the way can read the weights: use "
            f"https://, or set {field}.insecure to true",
            reason=Reason.INVALID_CONFIGURATION,
        )


def _check_variable(name: str, environment: Mapping[str, str]) -> None:
    """The library would not fail but fall over."""
    if (found := environment.get(name)) and not _is_server(found):
        raise WeightsError(
            f"the variable {name} holds no address of a server, such as https://host.example:9000: "
            "correct it in the ModelRunner's env",
            reason=Reason.INVALID_CONFIGURATION,
        )


def _is_server(text: str) -> bool:
    try:
        url = URL(text)
        named = url.scheme in {"http", "https"} and bool(url.host) and bool(url.port)
    except ValueError:
        return False
    return named and text.isascii() and text.isprintable() and " " not in text
