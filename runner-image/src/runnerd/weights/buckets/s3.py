"""The way into a bucket of S3, or of a store that speaks its language."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from obstore.store import S3Store

from modelrunner_protocol.sources import describe_bucket, describe_url
from modelrunner_protocol.wire import Credentials, S3Source
from runnerd.weights.buckets.entrance import check_endpoint, client, known
from runnerd.weights.buckets.refusal import Answer, Asker
from runnerd.weights.buckets.secret import Secret
from runnerd.weights.failure import WeightsError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

IDENTIFIER_KEY: Final = "AWS_ACCESS_KEY_ID"
SIGNING_KEY: Final = "AWS_SECRET_ACCESS_KEY"
SESSION_KEY: Final = "AWS_SESSION_TOKEN"
IDENTITIES: Final = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_ACCESS_KEY_ID",
)
"""Variables by which a platform tells a pod who it is."""

_FIELD: Final = "spec.source.s3"
_ELSEWHERE: Final = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "PermanentRedirect",
        "TemporaryRedirect",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Who we are to the store; `session_token` is "" for keys that do not expire."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def read_keys(credentials: Credentials) -> Keys:
    """The keys that the Secret holds.

    Raises:
        WeightsError: the Secret is not there, or holds something else. It may be mended, so
            trying again may help.
    """
    secret = Secret(
        credentials, f"--from-literal={IDENTIFIER_KEY}=… --from-literal={SIGNING_KEY}=…"
    )
    return Keys(
        access_key=secret.needed(IDENTIFIER_KEY, secret.word(IDENTIFIER_KEY)),
        secret_key=secret.needed(SIGNING_KEY, secret.word(SIGNING_KEY)),
        session_token=secret.word(SESSION_KEY),
    )


@dataclass(frozen=True, kw_only=True)
class S3Asker(Asker):
    """Who asks S3; `region` is where the bucket is looked for, "" for what the environment says."""

    region: str = ""

    def special(self, answer: Answer) -> WeightsError | None:
        """S3 tells where a bucket is that is somewhere else."""
        if answer.code not in _ELSEWHERE and "redirect without LOCATION" not in answer.text:
            return None
        if answer.region:
            where, mend = (
                f"in the region {answer.region}",
                f"set {_FIELD}.region to {answer.region}",
            )
        else:
            where = "somewhere else"
            mend = f"set {_FIELD}.region to the bucket's, or {_FIELD}.endpoint to its store's"
        asked = f", not in {self.region}" if self.region else ""
        return WeightsError(f"the bucket {self.name} is {where}{asked}: {mend}")


class S3Entrance:
    """A bucket of S3; see `Entrance`.

    Args:
        source: Which one.
        credentials: The user's Secret. Without it the pod's own identity is used where the
            environment has one; without that nothing is signed.
        stall_timeout: Seconds without a byte after which a connection is dead.
        environment: Where an identity is looked for.

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
        check_endpoint(source, _FIELD)
        self._source = source
        self._credentials = credentials
        self._stall_timeout = stall_timeout
        self._keys = read_keys(credentials) if credentials else None
        self.asker: Asker = S3Asker(
            field=_FIELD,
            store=describe_url(source.endpoint) if source.endpoint else "S3",
            where=describe_bucket(source),
            name=source.bucket,
            reading="s3:GetObject",
            listing="s3:ListBucket",
            keys=f"{IDENTIFIER_KEY} and {SIGNING_KEY}",
            secret=credentials.secret if credentials else "",
            identity=known(environment, IDENTITIES),
            region=source.region,
        )

    def connect(self) -> "ObjectStore":
        """The library's store; see `Entrance`."""
        source, settings = self._source, client(self._source, self._stall_timeout)
        if source.endpoint:
            # Both: the second one wins, and the environment may have it.
            settings |= {"endpoint": source.endpoint, "aws_endpoint_url_s3": source.endpoint}
        if source.region:
            settings["region"] = source.region
        if self._keys is not None:
            found = _given(self._keys)
            settings["credential_provider"] = lambda: found
        elif not self.asker.identity:
            settings["skip_signature"] = True
        return S3Store(source.bucket, **settings)

    def renew(self) -> bool:
        """Whether the Secret was replaced; one that is half written is none."""
        try:
            found = read_keys(self._credentials) if self._credentials else None
        except WeightsError:
            return False
        found, self._keys = self._keys, found
        return found != self._keys


def _given(keys: Keys) -> dict[str, Any]:
    # Not as settings: a session token of the environment would be added to them.
    return {
        "access_key_id": keys.access_key,
        "secret_access_key": keys.secret_key,
        "token": keys.session_token or None,
        "expires_at": None,
    }
