"""What a store's refusal means."""

from dataclasses import replace

import obstore
import pytest
from obstore.exceptions import GenericError

from modelrunner_protocol.wire import S3Source
from runnerd.weights.buckets.doors import entrance
from runnerd.weights.buckets.refusal import BUSY_WAIT, Asker, ChangedError, refusal
from runnerd.weights.failure import DeniedError, MissingError, TransientError, WeightsError
from runnerd.weights.source import RangeNotSatisfiableError
from tests.support.file_server import Fault, FileServer

NOBODY = Asker(
    field="spec.source.gcs",
    store="https://s:9000",
    where="gs://b/p",
    name="b",
    reading="to read",
    listing="to list",
    keys="KEY",
)
HOLDER = replace(NOBODY, secret="mine")
POD = replace(NOBODY, identity=True)
GUESSED = replace(POD, guessed=True)
AZURE = replace(
    NOBODY, field="spec.source.azure", noun="container", address="account", store="the account a"
)


def _answer(status: int, code: str, more: str = "") -> str:
    """As the library writes it."""
    xml = f"<Error><Code>{code}</Code><AWSAccessKeyId>AKIASECRET</AWSAccessKeyId>{more}</Error>"
    return f"Generic S3 error: Server returned non-2xx status code: {status} Whatever: {xml}"


def _token(status: int, body: str) -> str:
    return (
        f"Error performing token request: x - non-2xx status code: {status} Bad: {body} AKIASECRET"
    )


@pytest.mark.parametrize(
    ("text", "asker", "kind", "says"),
    [
        (_answer(503, "SlowDown"), HOLDER, TransientError, r"answered 503 \(SlowDown\)"),
        (_answer(400, "RequestTimeout"), HOLDER, TransientError, "RequestTimeout"),
        (_answer(409, "ContainerBeingDeleted"), AZURE, TransientError, "answered 409"),
        (_answer(429, "TooManyRequests"), HOLDER, TransientError, "429"),
        (
            _answer(404, "NoSuchBucket"),
            HOLDER,
            MissingError,
            "no bucket b: correct spec.source.gcs",
        ),
        (
            _answer(404, "ContainerNotFound"),
            AZURE,
            MissingError,
            r"the account a has no container b: .*azure\.container, or spec\.source\.azure\.account",
        ),
        (_answer(404, "NoSuchKey"), HOLDER, MissingError, "no object p/m.gguf in the bucket b"),
        ("status code: 404 Not Found", HOLDER, MissingError, "no object p/m.gguf"),
        (_answer(404, "ResourceNotFound"), AZURE, DeniedError, "is not public"),
        (_answer(409, "PublicAccessNotPermitted"), AZURE, DeniedError, "is not public"),
        (_answer(403, "RequestTimeTooSkewed"), HOLDER, WeightsError, "clock of this machine is w"),
        (_answer(403, "AccessDenied"), HOLDER, DeniedError, "allow it to read"),
        (_answer(403, "AuthorizationPermissionMismatch"), HOLDER, DeniedError, "allow it to read"),
        (_answer(403, "InvalidAccessKeyId"), HOLDER, DeniedError, "keys of the Secret mine"),
        (_answer(401, "AuthenticationRequired"), HOLDER, DeniedError, "check its keys KEY"),
        (_answer(400, "ExpiredToken"), HOLDER, DeniedError, "which may have expired"),
        (_answer(403, "AccessDenied"), POD, DeniedError, "this pod's identity"),
        (_answer(403, "AccessDenied"), NOBODY, DeniedError, "spec.source.credentialsSecret"),
        (_answer(403, "InvalidObjectState"), HOLDER, WeightsError, "archived: restore it"),
        (_answer(409, "BlobArchived"), AZURE, WeightsError, "archived: restore it"),
        (_answer(405, "MethodNotAllowed"), HOLDER, WeightsError, "405 .MethodNotAllowed."),
        (_token(503, ""), POD, TransientError, "that gives tokens answered 503"),
        ("Error performing token request: refused", POD, TransientError, "does not answer"),
        (
            _token(401, '{"error":"invalid_client","error_description":"AADSTS7000215: no"}'),
            HOLDER,
            DeniedError,
            r"keys of the Secret mine \(401 \(invalid_client, AADSTS7000215\)\): check its keys KEY",
        ),
        (_token(400, ""), POD, DeniedError, r"to this pod's identity \(400\)"),
        ("Error reading federated token file", POD, DeniedError, "to this pod's identity"),
        ("Error performing token request: refused", GUESSED, DeniedError, "has no identity of the"),
        (_answer(403, "AccessDenied"), GUESSED, DeniedError, "is not for this pod's identity"),
        ("error: InvalidCertificate(UnknownIssuer)", HOLDER, WeightsError, "SSL_CERT_FILE"),
        ("reqwest::Error { source: BadScheme }", HOLDER, WeightsError, "plain http"),
        ("Received non-partial response when range", HOLDER, WeightsError, "serves no ranges"),
        ("value for CONTENT_RANGE header: 0--1/0", HOLDER, WeightsError, "serves no ranges"),
        (
            "ETag Header missing from response",
            AZURE,
            WeightsError,
            "correct spec.source.azure.endp",
        ),
        ("Got invalid list response: x", HOLDER, WeightsError, "does not answer as such a store"),
        ("HTTP error: request or response body error", HOLDER, TransientError, "broke off"),
        ("ConnectError('dns error')", AZURE, TransientError, "correct spec.source.azure.account"),
        ("HTTP error: error sending request", HOLDER, TransientError, "it broke off"),
    ],
)
def test_sentences(text: str, asker: Asker, kind: type[Exception], says: str) -> None:
    """Each names what to change, whoever may change it, and none shows a key."""
    found = refusal(text, asker, "p/m.gguf")
    assert type(found) is kind
    with pytest.raises(kind, match=says):
        raise found
    assert "AKIASECRET" not in str(found)


def test_a_list_is_another_right() -> None:
    """Who may read objects need not be allowed to list them."""
    told = str(refusal(_answer(403, "AccessDenied"), HOLDER))
    assert "the list of objects of the bucket b" in told
    assert "to list" in told


def test_a_list_of_nothing_at_all() -> None:
    """A folder that is not there has an empty list, so what is missing is the bucket."""
    assert "has no bucket b" in str(refusal("status code: 404 Not Found", HOLDER))


def test_another_version() -> None:
    """A precondition that failed is no failure of the store."""
    assert isinstance(refusal(_answer(412, "PreconditionFailed"), HOLDER, "p"), ChangedError)


def test_behind_the_end() -> None:
    """The object's size is told where the store tells it."""
    size = "<ActualObjectSize>77</ActualObjectSize>"
    found = refusal(_answer(416, "InvalidRange", size), HOLDER, "p")
    assert isinstance(found, RangeNotSatisfiableError)
    assert found.total == 77


@pytest.mark.parametrize(
    ("status", "wait"), [(429, BUSY_WAIT), (503, BUSY_WAIT), (500, None), (408, None)]
)
def test_a_busy_store_is_left_alone(status: int, wait: float | None) -> None:
    """As long as nobody tells how long it wants to be."""
    failure = refusal(_answer(status, "SlowDown"), HOLDER)
    assert isinstance(failure, TransientError)
    assert failure.retry_after == wait


@pytest.mark.parametrize("status", [429, 503])
async def test_the_library_hides_how_long_a_store_wants_to_be_left_alone(status: int) -> None:
    """Retry-After reaches nobody; once it does, this fails, and the store's own wish counts."""
    async with FileServer().running() as server:
        server.always = Fault(status=status, headers={"Retry-After": "1717"})
        source = S3Source(bucket="models", endpoint=server.url(""), insecure=True)
        store = entrance(source, None, stall_timeout=9.0).connect()
        with pytest.raises(GenericError) as caught:
            await obstore.get_async(store, "x")
    assert "1717" not in f"{caught.value} {caught.value.args} {vars(caught.value)}"
