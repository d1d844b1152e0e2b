"""The way into a bucket of S3, or of a store that speaks its language."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from obstore.store import S3Store

from modelrunner_protocol.sources import describe_bucket
from modelrunner_protocol.wire import Credentials, S3Source
from runnerd.weights.buckets.entrance import StoreEntrance
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
# Not all of a cloud's hosts: other people's machines and balancers have names below it as well.
_REGION: Final = r"\.[a-z]{2,5}(?:-[a-z]+)+-[0-9]"
_SERVERS: Final = re.compile(
    r"(?:[a-z0-9.-]+\.)?(?:"
    rf"s3(?:-[a-z0-9-]+)?(?:\.dualstack)?(?:{_REGION})?(?:\.vpce)?\.amazonaws\.(?:com|com\.cn|eu)"
    # Directory buckets (S3 Express), which are in one zone each.
    rf"|s3express-[a-z0-9-]+-az[0-9]{{1,2}}(?:\.dualstack)?{_REGION}\.amazonaws\.(?:com|com\.cn|eu)"
    # The domain that has addresses of IPv6, too.
    rf"|s3(?:-fips)?(?:\.dualstack)?{_REGION}\.api\.aws"
    r")"
)
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


class S3Entrance(StoreEntrance[S3Source, Keys]):
    """A bucket of S3."""

    field = _FIELD
    identities = IDENTITIES
    servers = _SERVERS
    endpoint_variables = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT")
    token_variables = ("AWS_ENDPOINT_URL_STS",)

    def _read_keys(self, credentials: Credentials) -> Keys:
        return read_keys(credentials)

    def _asking(self) -> Asker:
        return S3Asker(
            field=_FIELD,
            store=self._store_in_words("S3"),
            where=describe_bucket(self._source),
            name=self._source.bucket,
            reading="s3:GetObject",
            listing="s3:ListBucket",
            keys=f"{IDENTIFIER_KEY} and {SIGNING_KEY}",
            region=self._source.region,
        )

    def _open(self, settings: dict[str, Any]) -> "ObjectStore":
        source = self._source
        if source.endpoint:
            # Both: the second one wins, and the environment may have it.
            settings |= {"endpoint": source.endpoint, "aws_endpoint_url_s3": source.endpoint}
        if not self._own:
            # Else a customer's key of the environment (SSE-C) is sent along with each request.
            settings["aws_server_side_encryption"] = "AES256"
        if source.region:
            settings["region"] = source.region
        if self._keys is not None:
            found = _given(self._keys)
            settings["credential_provider"] = lambda: found
        elif not self.asker.identity:
            settings["skip_signature"] = True
        return S3Store(source.bucket, **settings)


def _given(keys: Keys) -> dict[str, Any]:
    # Not as settings: a session token of the environment would be added to them.
    return {
        "access_key_id": keys.access_key,
        "secret_access_key": keys.secret_key,
        "token": keys.session_token or None,
        "expires_at": None,
    }
