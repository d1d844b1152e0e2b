"""A bucket, by the client library obstore: what it holds, and the bytes of its objects."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Credentials, S3Source
from runnerd.weights.choice import StoredFile
from runnerd.weights.failure import WeightsError
from runnerd.weights.http_session import CONNECT_TIMEOUT
from runnerd.weights.s3.keys import read_keys
from runnerd.weights.s3.refusal import Asker, refusal

if TYPE_CHECKING:
    # They are in its type stubs only.
    from obstore import GetOptions, GetResult

IDENTITIES: Final = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_ACCESS_KEY_ID",
)
"""Variables by which a platform tells a pod who it is."""

MOST_OBJECTS: Final = 10_000
_PAGE: Final = 1000
_READ_AGAIN: Final = timedelta(minutes=1)
# Of the whole answer: a part may take as long as it likes, while bytes come.
_NO_END: Final = timedelta(days=365)
_FAILURES: Final = (BaseError, OSError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An object's bytes from `start` on; `size` is that of the whole object."""

    start: int
    size: int
    etag: str
    chunks: AsyncIterator[bytes]


class Bucket:
    """One bucket, as one user.

    Args:
        source: Which one.
        credentials: The user's Secret. Without it the pod's own identity is used where the
            environment has one; without that nothing is signed.
        stall_timeout: Seconds without a byte after which a connection is dead.

    Raises:
        WeightsError: the Secret or the endpoint is not good.
    """

    def __init__(
        self,
        source: S3Source,
        credentials: Credentials | None,
        *,
        stall_timeout: float,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        identity = any(environment.get(name) for name in IDENTITIES)
        secret = credentials.secret if credentials else ""
        self.asker = Asker(source=source, secret=secret, identity=identity)
        _check_endpoint(source)
        settings: dict[str, Any] = {}
        if source.endpoint:
            # Both: the second one wins, and the environment may have it.
            settings |= {"endpoint": source.endpoint, "aws_endpoint_url_s3": source.endpoint}
        if source.region:
            settings["region"] = source.region
        if credentials is not None:
            settings["credential_provider"] = _Holder(credentials)
        elif not identity:
            settings["skip_signature"] = True
        self._store = S3Store(
            source.bucket,
            **settings,
            client_options={
                "allow_http": source.insecure,
                "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT),
                "read_timeout": timedelta(seconds=stall_timeout),
                "timeout": _NO_END,
            },
            # Ours resume, wait as told and end.
            retry_config={"max_retries": 0, "retry_timeout": timedelta(0)},
        )

    async def list(self) -> tuple[StoredFile, ...]:
        """The objects in the folder, paths relative to it.

        Raises:
            WeightsError: not for us, or too many.
            TransientError: trying again may help.
        """
        prefix = self.asker.source.prefix
        skipped = len(prefix) + 1 if prefix else 0
        found: list[StoredFile] = []
        try:
            async for page in self._store.list(prefix or None, chunk_size=_PAGE):
                found += [
                    StoredFile(
                        path=one["path"][skipped:], size=one["size"], etag=one["e_tag"] or ""
                    )
                    for one in page
                    # Some tools make an empty object that stands for the folder.
                    if one["path"][skipped:]
                ]
                if len(found) > MOST_OBJECTS:
                    raise WeightsError(
                        f"the bucket {self.asker.source.bucket} has more than {MOST_OBJECTS} objects "
                        "there: name a folder in spec.source.s3.prefix"
                    )
        except _FAILURES as error:
            raise refusal(str(error), self.asker) from error
        return tuple(sorted(found, key=lambda file: file.path))

    async def look(self, path: str) -> StoredFile:
        """One object, by its first byte: nobody says why a HEAD is refused.

        Raises:
            RangeNotSatisfiableError: it is empty.
            WeightsError: there is none, or it is not for us.
            TransientError: trying again may help.
        """
        opened = await self.open(path, 0, 1)
        return StoredFile(path=path, size=opened.size, etag=opened.etag)

    async def open(self, path: str, start: int, stop: int | None, etag: str = "") -> Opened:
        """Bytes [start, stop) of an object, of that version if `etag` is not "".

        Raises:
            ChangedError: it is another version.
            RangeNotSatisfiableError: `start` is not inside the object.
            WeightsError: there is none, or it is not for us.
            TransientError: trying again may help.
        """
        options: GetOptions = {"if_match": etag} if etag else {}
        if stop is not None:
            options["range"] = (start, stop)
        elif start:
            options["range"] = {"offset": start}
        try:
            found = await obstore.get_async(self._store, path, options=options)
        except _FAILURES as error:
            raise refusal(str(error), self.asker, path) from error
        return Opened(
            start=found.range[0],
            size=found.meta["size"],
            etag=found.meta["e_tag"] or "",
            chunks=self._chunks(found, path),
        )

    async def _chunks(self, found: "GetResult", path: str) -> AsyncIterator[bytes]:
        try:
            # As they come: what is collected when a connection breaks would be lost.
            async for chunk in found.stream(min_chunk_size=1):
                yield chunk
        except _FAILURES as error:
            raise refusal(str(error), self.asker, path) from error


class _Holder:
    """The Secret's keys, read again once in a while: some expire during a long pull.

    While the Secret is being replaced, what it held is used.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._keys = read_keys(credentials)

    def __call__(self) -> Any:
        with suppress(WeightsError):
            self._keys = read_keys(self._credentials)
        return {
            "access_key_id": self._keys.access_key,
            "secret_access_key": self._keys.secret_key,
            "token": self._keys.session_token or None,
            "expires_at": datetime.now(tz=UTC) + _READ_AGAIN,
        }


def _check_endpoint(source: S3Source) -> None:
    if source.endpoint.startswith("http://") and not source.insecure:
        raise WeightsError(
            f"{source.endpoint} is plain http, where everybody on the way can read the weights: use "
            "https://, or set spec.source.s3.insecure to true",
            reason=Reason.INVALID_CONFIGURATION,
        )
