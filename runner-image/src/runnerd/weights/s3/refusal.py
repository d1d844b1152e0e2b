"""What a store's refusal means, by what the client library says of it. Pure.

The library (obstore, https://github.com/developmentseed/obstore) has few classes of errors; their
text holds the HTTP status and the XML of the answer, whose codes are S3's own
(https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html). No such text is shown: it
holds the access key and the signature.
"""

import re
from dataclasses import dataclass
from typing import Final

from modelrunner_protocol.sources import describe_s3, describe_url
from modelrunner_protocol.wire import S3Source
from runnerd.weights.failure import DeniedError, MissingError, TransientError, WeightsError
from runnerd.weights.http_status import transient
from runnerd.weights.s3.keys import IDENTIFIER_KEY, SIGNING_KEY
from runnerd.weights.source import RangeNotSatisfiableError

_STATUS: Final = re.compile(r"status code: ([0-9]{3})")
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>")
_REGION: Final = re.compile(r"<Region>([a-z0-9-]{1,64})</Region>")
_TOTAL: Final = re.compile(r"<ActualObjectSize>([0-9]{1,19})</ActualObjectSize>")

_PASSING: Final = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable"})
_ELSEWHERE: Final = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "PermanentRedirect",
        "TemporaryRedirect",
    }
)
_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidToken"})
_SILENCES: Final = (
    ("dns error", "the name is not known to DNS"),
    ("ConnectionRefused", "Connection refused"),
    ("TimedOut", "timed out"),
)


class ChangedError(Exception):
    """The object is another version than the one that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks for what, for messages.

    Attributes:
        source: The bucket and the folder.
        secret: The Secret with the keys, "" without one.
        identity: Whether the pod has an identity of its own (a web identity token).
    """

    source: S3Source
    secret: str = ""
    identity: bool = False

    @property
    def store(self) -> str:
        """The store in words."""
        return describe_url(self.source.endpoint) if self.source.endpoint else "S3"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the library's text tells; `status` is 0 where there was no answer."""

    text: str
    status: int
    code: str

    @property
    def shown(self) -> str:
        """In words."""
        return f"{self.status} ({self.code})" if self.code else str(self.status)


def refusal(text: str, asker: Asker, path: str = "") -> Exception:
    """The error to raise.

    Args:
        text: The library's.
        asker: Who asked.
        path: The object, "" where objects were listed.
    """
    status, code = _STATUS.search(text), _CODE.search(text)
    answer = _Answer(text, int(status[1]) if status else 0, code[1] if code else "")
    if answer.status == 412:
        return ChangedError(path)
    if answer.status == 416:
        total = _TOTAL.search(text)
        return RangeNotSatisfiableError(int(total[1]) if total else None)
    if answer.code in _PASSING or transient(answer.status, {}):
        return TransientError(f"{asker.store} answered {answer.shown}")
    return _final(answer, asker, path) if answer.status else _silent(text, asker)


def _final(answer: _Answer, asker: Asker, path: str) -> WeightsError:
    """An answer that does not change by itself."""
    where = describe_s3(asker.source)
    if answer.status == 404:
        return _missing(answer, asker, path)
    if answer.code in _ELSEWHERE:
        return _elsewhere(answer.text, asker)
    if answer.code == "RequestTimeTooSkewed":
        return WeightsError(
            f"{asker.store} says that the clock of this machine is wrong ({answer.code}): a "
            "signature is good for some minutes only; set the node's clock (NTP), or the store's",
            retryable=True,
        )
    if answer.code == "InvalidObjectState":
        return WeightsError(
            f"{path} of {where} is archived: restore it before it is pulled", retryable=True
        )
    if answer.status in {401, 403} or answer.code in _EXPIRED:
        return _denied(answer, asker, path)
    return WeightsError(f"{where}: the store answered {answer.shown}", retryable=True)


def _missing(answer: _Answer, asker: Asker, path: str) -> WeightsError:
    source = asker.source
    if answer.code == "NoSuchBucket":
        return MissingError(
            f"{asker.store} has no bucket {source.bucket}: correct spec.source.s3.bucket, or "
            "spec.source.s3.endpoint"
        )
    what = f"no object {path}" if path else "nothing"
    return MissingError(
        f"{asker.store} has {what} in the bucket {source.bucket}: correct spec.source.s3.prefix"
    )


def _elsewhere(text: str, asker: Asker) -> WeightsError:
    source, found = asker.source, _REGION.search(text)
    if found is not None:
        where, mend = f"in the region {found[1]}", f"set spec.source.s3.region to {found[1]}"
    else:
        where = "somewhere else"
        mend = (
            "set spec.source.s3.region to the bucket's, or spec.source.s3.endpoint to its store's"
        )
    asked = f", not in {source.region}" if source.region else ""
    return WeightsError(f"the bucket {source.bucket} is {where}{asked}: {mend}")


def _denied(answer: _Answer, asker: Asker, path: str) -> DeniedError:
    """Mending it may help later."""
    source = asker.source
    what = f"the object {path}" if path else "the list of objects"
    action = "s3:GetObject" if path else "s3:ListBucket"
    where = f"{what} of the bucket {source.bucket}"
    keys = f"{IDENTIFIER_KEY} and {SIGNING_KEY}"
    if asker.secret and answer.code != "AccessDenied":
        text = (
            f"{asker.store} refuses the keys of the Secret {asker.secret} for {where}: "
            f"{answer.shown}: check its keys {keys}"
        )
    elif asker.secret:
        text = (
            f"{where} is not for the holder of the keys in the Secret {asker.secret} "
            f"({answer.shown}): allow it {action}, or use other keys ({keys})"
        )
    elif asker.identity:
        text = (
            f"{where} is not for this pod's identity ({answer.shown}): allow its role {action}, or "
            "check that its service account may take that role"
        )
    else:
        text = (
            f"{where} is not public ({answer.shown}): name a Secret with the keys {keys} in "
            "spec.source.credentialsSecret"
        )
    return DeniedError(text, retryable=True)


def _silent(text: str, asker: Asker) -> Exception:
    """No answer, or one that is none of S3."""
    if "redirect without LOCATION" in text:
        return _elsewhere(text, asker)
    if "certificate" in text.lower():
        return WeightsError(
            f"the certificate of {asker.store} is not trusted: mount the issuer's certificate and "
            "set SSL_CERT_FILE"
        )
    if "BadScheme" in text:
        return WeightsError(
            f"{asker.store} leads to plain http, which is not followed: name an https:// "
            "address in spec.source.s3.endpoint, or set spec.source.s3.insecure to true"
        )
    if "non-partial response" in text:
        return WeightsError(
            f"{asker.store} serves no ranges: use an endpoint without a proxy that rewrites answers"
        )
    if "response body error" in text:
        return TransientError("the connection broke off")
    why = next((words for sign, words in _SILENCES if sign in text), "it broke off")
    return TransientError(f"{asker.store} does not answer ({why})")
