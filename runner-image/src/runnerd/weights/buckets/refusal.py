"""What a store's refusal means, by what the client library says of it. Pure.

The library (obstore, https://github.com/developmentseed/obstore) has few classes of errors; their
text holds the HTTP status and the XML of the answer, whose codes are the stores' own
(https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html,
https://cloud.google.com/storage/docs/xml-api/reference-status,
https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes). No such text is
shown: it holds access keys and signatures. No header is in it, so nobody learns of a Retry-After
(object_store keeps the status and the body of a refusal alone, `client/retry.rs`, and its own retries
do not read that header either): a busy store is left alone for `BUSY_WAIT`, then for twice as long
each time, as all others are.
"""

import re
from dataclasses import dataclass
from typing import Final

from runnerd.weights.failure import (
    DeniedError,
    MissingError,
    TransientError,
    WeightsError,
    unsupported,
)
from runnerd.weights.http_status import transient
from runnerd.weights.source import RangeNotSatisfiableError

_NAMELESS: Final = ("Encountered object with invalid path", "Could not parse path")
_NAME: Final = re.compile(r'Path "(.*?)"(?: contained|: Encountered)', re.DOTALL)
_SHOWN: Final = 80
_STATUS: Final = re.compile(r"status code: ([0-9]{3})")
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>")
_REGION: Final = re.compile(r"<Region>([a-z0-9-]{1,64})</Region>")
_TOTAL: Final = re.compile(r"<ActualObjectSize>([0-9]{1,19})</ActualObjectSize>")
# Of those who give tokens: OAuth's word, and Entra's own number.
_TOKEN_CODES: Final = re.compile(r'"error": *"([a-z_]{1,64})"|\b(AADSTS[0-9]{1,9})\b')

_PASSING: Final = frozenset(
    {
        *("SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable"),
        *("ServerBusy", "OperationTimedOut", "ContainerBeingDeleted"),
    }
)
_NO_BUCKET: Final = frozenset({"NoSuchBucket", "ContainerNotFound"})
_EXPIRED: Final = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "PublicAccessNotPermitted"}
)
_ARCHIVED: Final = frozenset({"InvalidObjectState", "BlobArchived", "BlobBeingRehydrated"})
# The keys are good, and their holder may not.
_NOT_ALLOWED: Final = frozenset(
    {
        "AccessDenied",
        "AuthorizationFailure",
        "AuthorizationPermissionMismatch",
        "AuthorizationResourceTypeMismatch",
        "AuthorizationServiceMismatch",
        "AuthorizationSourceIPMismatch",
        "InsufficientAccountPermissions",
    }
)
_SILENCES: Final = (
    ("ConnectionRefused", "Connection refused"),
    ("TimedOut", "timed out"),
)
_NO_RANGES: Final = ("non-partial response", "Content-Range", "CONTENT_RANGE")
_STRANGE: Final = ("invalid list response", "Header missing from response")


BUSY_WAIT: Final = 1.0
"""Seconds at least until a store that has too much to do is asked again."""

_BUSY: Final = frozenset({429, 503})


class ChangedError(Exception):
    """The object is another version than the one that was asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the library's text tells; `status` is 0 where there was no answer."""

    text: str
    status: int
    code: str

    @property
    def shown(self) -> str:
        """In words."""
        return f"{self.status} ({self.code})" if self.code else str(self.status)

    @property
    def region(self) -> str:
        """The region that it names, "" for none."""
        found = _REGION.search(self.text)
        return found[1] if found else ""


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who asks for what, for messages.

    Attributes:
        field: The source's field.
        store: The store in words.
        where: The source in words.
        noun: What the store calls a bucket.
        name: The bucket's name.
        reading: The right to read objects.
        listing: The right to list them.
        keys: The keys of the Secret in words.
        address: The field below `field` that names the store.
        secret: The Secret with the keys, "" without one.
        identity: Whether the pod has an identity of its own.
        guessed: Nobody says so: it is only tried.
        withheld: The pod has an identity which is not told to the Model's endpoint; the variable
            that may name that instead.
        variable: What of the environment names the store, "" where the Model or nobody does.
    """

    field: str
    store: str
    where: str
    name: str
    reading: str
    listing: str
    keys: str
    noun: str = "bucket"
    address: str = "endpoint"
    secret: str = ""
    identity: bool = False
    guessed: bool = False
    withheld: str = ""
    variable: str = ""

    def special(self, answer: Answer) -> WeightsError | None:
        """What only this kind of store says; None for all else."""


def refusal(text: str, asker: Asker, path: str = "") -> Exception:
    """The error to raise.

    Args:
        text: The library's.
        asker: Who asked.
        path: The object, "" where objects were listed.
    """
    # First: such a name may say whatever an answer says.
    nameless = text.startswith(_NAMELESS)
    return _unspeakable(text, asker) if nameless else _refused(text, asker, path)


def _refused(text: str, asker: Asker, path: str) -> Exception:
    status, code = _STATUS.search(text), _CODE.search(text)
    answer = Answer(text, int(status[1]) if status else 0, code[1] if code else "")
    if "token request" in text or "token response" in text or "federated token file" in text:
        return _tokenless(answer, asker, path)
    if answer.status == 412:
        return ChangedError(path)
    if answer.status == 416:
        total = _TOTAL.search(text)
        return RangeNotSatisfiableError(int(total[1]) if total else None)
    if answer.code in _PASSING or transient(answer.status, {}):
        wait = BUSY_WAIT if answer.status in _BUSY else None
        return TransientError(f"{asker.store} answered {answer.shown}", retry_after=wait)
    if (special := asker.special(answer)) is not None:
        return special
    return _final(answer, asker, path) if answer.status else _silent(text, asker)


def _unspeakable(text: str, asker: Asker) -> WeightsError:
    """An object that the library cannot ask for: of a list it hides all others, too."""
    found = _NAME.search(text)
    name = f" ({found[1][:_SHOWN]!r})" if found else ""
    return unsupported(
        f"{asker.where} has an object whose name{name} has an empty part, a part . or .., or a sign "
        f"that cannot be printed: rename it, or set {asker.field}.prefix to the model's own "
        "object, or to a folder without such names"
    )


def _final(answer: Answer, asker: Asker, path: str) -> WeightsError:
    """An answer that does not change by itself."""
    if answer.code == "RequestTimeTooSkewed":
        return WeightsError(
            f"{asker.store} says that the clock of this machine is wrong ({answer.code}): a "
            "signature is good for some minutes only; set the node's clock (NTP), or the store's",
            retryable=True,
        )
    if answer.code in _ARCHIVED:
        return WeightsError(
            f"{path} of {asker.where} is archived: restore it before it is pulled", retryable=True
        )
    # Azure hides from strangers what is there.
    hidden = answer.code == "ResourceNotFound" and not (asker.secret or asker.identity)
    if hidden or answer.status in {401, 403} or answer.code in _EXPIRED:
        return _denied(answer, asker, path)
    if answer.status == 404:
        return _missing(answer, asker, path)
    return WeightsError(f"{asker.where}: the store answered {answer.shown}", retryable=True)


def _missing(answer: Answer, asker: Asker, path: str) -> WeightsError:
    place = f"{asker.noun} {asker.name}"
    if answer.code in _NO_BUCKET or not (path or answer.code):
        return MissingError(
            f"{asker.store} has no {place}: correct {asker.field}.{asker.noun}, or "
            f"{asker.field}.{asker.address}"
        )
    what = f"no object {path}" if path else "nothing"
    return MissingError(f"{asker.store} has {what} in the {place}: correct {asker.field}.prefix")


def _denied(answer: Answer, asker: Asker, path: str) -> DeniedError:
    """Mending it may help later."""
    what = f"the object {path}" if path else "the list of objects"
    right = asker.reading if path else asker.listing
    where = f"{what} of the {asker.noun} {asker.name}"
    if asker.secret and answer.code not in _NOT_ALLOWED:
        text = (
            f"{asker.store} refuses the keys of the Secret {asker.secret} for {where}: "
            f"{answer.shown}: check its keys {asker.keys}, which may have expired"
        )
    elif asker.secret:
        text = (
            f"{where} is not for the holder of the keys in the Secret {asker.secret} "
            f"({answer.shown}): allow it {right}, or use other keys ({asker.keys})"
        )
    elif asker.identity:
        text = (
            f"{where} is not for this pod's identity ({answer.shown}): allow it {right}, or check "
            "that the service account of the ModelRunner's podTemplate has that identity"
        )
    else:
        text = (
            f"{where} is not public ({answer.shown}): name a Secret with the keys {asker.keys} in "
            "spec.source.credentialsSecret"
        )
    if asker.withheld and not asker.secret:
        text += (
            f"; this pod's identity is told to no server that a Model names: {asker.withheld} in the "
            "ModelRunner's env may name one instead"
        )
    return DeniedError(text, retryable=True)


def _tokenless(answer: Answer, asker: Asker, path: str) -> Exception:
    """We did not even learn who we are."""
    if asker.guessed:
        what = f"the object {path}" if path else "the list of objects"
        return DeniedError(
            f"{what} of the {asker.noun} {asker.name} is not public, and this pod has no identity of "
            f"the cloud: name a Secret with the keys {asker.keys} in spec.source.credentialsSecret, "
            "or set a service account with a workload identity in the ModelRunner's podTemplate",
            retryable=True,
        )
    found = _TOKEN_CODES.findall(answer.text)
    codes = ", ".join(dict.fromkeys(word or number for word, number in found))
    told = f"{answer.status} ({codes})" if codes else str(answer.status)
    if not answer.status and "federated token file" not in answer.text:
        return TransientError("the server that gives tokens does not answer")
    if transient(answer.status, {}):
        return TransientError(f"the server that gives tokens answered {told}")
    if asker.secret:
        text = (
            f"no token is given for the keys of the Secret {asker.secret} ({told}): check its keys "
            f"{asker.keys}, which may have expired"
        )
    else:
        text = (
            f"no token is given to this pod's identity ({told}): check that the service account of "
            "the ModelRunner's podTemplate has that identity, or name a Secret with the keys "
            f"{asker.keys} in spec.source.credentialsSecret"
        )
    return DeniedError(text, retryable=True)


def _silent(text: str, asker: Asker) -> Exception:
    """No answer, or one that is none of such a store."""
    if "certificate" in text.lower():
        return WeightsError(
            f"the certificate of {asker.store} is not trusted: mount the issuer's certificate and "
            "set SSL_CERT_FILE"
        )
    if "BadScheme" in text:
        named = f"{asker.field}.endpoint"
        if asker.variable:
            named = f"the variable {asker.variable} of the ModelRunner's env"
        return WeightsError(
            f"{asker.store} leads to plain http, which is not followed: name an https:// "
            f"address in {named}, or set {asker.field}.insecure to true"
        )
    if any(sign in text for sign in _NO_RANGES):
        return WeightsError(
            f"{asker.store} serves no ranges: use an endpoint without a proxy that rewrites answers"
        )
    if any(sign in text for sign in _STRANGE):
        return WeightsError(
            f"{asker.store} does not answer as such a store does: correct {asker.field}.endpoint",
            retryable=True,
        )
    return _cut_off(text, asker)


def _cut_off(text: str, asker: Asker) -> TransientError:
    """No answer, or no whole one."""
    if "response body error" in text:
        return TransientError("the connection broke off")
    if "dns error" in text:
        return TransientError(
            f"{asker.store} does not answer (the name is not known to DNS): if it stays so, correct "
            f"{asker.field}.{asker.address}"
        )
    why = next((words for sign, words in _SILENCES if sign in text), "it broke off")
    return TransientError(f"{asker.store} does not answer ({why})")
