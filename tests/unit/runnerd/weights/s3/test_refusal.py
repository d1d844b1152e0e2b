"""What a store's refusal means."""

import pytest

from modelrunner_protocol.wire import S3Source
from runnerd.weights.failure import DeniedError, MissingError, TransientError, WeightsError
from runnerd.weights.s3.refusal import Asker, ChangedError, refusal
from runnerd.weights.source import RangeNotSatisfiableError

SOURCE = S3Source(bucket="b", prefix="p", region="r-1", endpoint="https://s:9000")
NOBODY = Asker(source=SOURCE)
HOLDER = Asker(source=SOURCE, secret="mine")
POD = Asker(source=SOURCE, identity=True)


def _answer(status: int, code: str, more: str = "") -> str:
    """As the library writes it."""
    xml = f"<Error><Code>{code}</Code><AWSAccessKeyId>AKIASECRET</AWSAccessKeyId>{more}</Error>"
    return f"Generic S3 error: Server returned non-2xx status code: {status} Whatever: {xml}"


@pytest.mark.parametrize(
    ("text", "asker", "kind", "says"),
    [
        (_answer(503, "SlowDown"), HOLDER, TransientError, r"answered 503 \(SlowDown\)"),
        (_answer(400, "RequestTimeout"), HOLDER, TransientError, "RequestTimeout"),
        (_answer(429, "TooManyRequests"), HOLDER, TransientError, "429"),
        (_answer(404, "NoSuchBucket"), HOLDER, MissingError, "has no bucket b: correct spec"),
        (_answer(404, "NoSuchKey"), HOLDER, MissingError, "no object p/m.gguf in the bucket b"),
        (
            _answer(403, "RequestTimeTooSkewed"),
            HOLDER,
            WeightsError,
            "clock of this machine is wrong",
        ),
        (
            _answer(301, "PermanentRedirect", "<Region>r-2</Region>"),
            HOLDER,
            WeightsError,
            "in the region r-2, not in r-1: set spec.source.s3.region to r-2",
        ),
        (
            "Received redirect without LOCATION, this normally indicates",
            HOLDER,
            WeightsError,
            "somewhere else, not in r-1: set spec.source.s3.region",
        ),
        (_answer(403, "AccessDenied"), HOLDER, DeniedError, "allow it s3:GetObject"),
        (_answer(403, "InvalidAccessKeyId"), HOLDER, DeniedError, "keys of the Secret mine"),
        (_answer(400, "ExpiredToken"), HOLDER, DeniedError, "keys of the Secret mine"),
        (_answer(403, "AccessDenied"), POD, DeniedError, "this pod's identity"),
        (_answer(403, "AccessDenied"), NOBODY, DeniedError, "spec.source.credentialsSecret"),
        (_answer(403, "InvalidObjectState"), HOLDER, WeightsError, "archived: restore it"),
        (_answer(405, "MethodNotAllowed"), HOLDER, WeightsError, "405 .MethodNotAllowed."),
        ("error: InvalidCertificate(UnknownIssuer)", HOLDER, WeightsError, "SSL_CERT_FILE"),
        ("reqwest::Error { source: BadScheme }", HOLDER, WeightsError, "plain http"),
        ("Received non-partial response when range", HOLDER, WeightsError, "serves no ranges"),
        ("HTTP error: request or response body error", HOLDER, TransientError, "broke off"),
        ("ConnectError('dns error')", HOLDER, TransientError, "s:9000 does not answer .the name"),
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
    assert "s3:ListBucket" in told


def test_another_version() -> None:
    """A precondition that failed is no failure of the store."""
    assert isinstance(refusal(_answer(412, "PreconditionFailed"), HOLDER, "p"), ChangedError)


def test_behind_the_end() -> None:
    """The object's size is told where the store tells it."""
    size = "<ActualObjectSize>77</ActualObjectSize>"
    found = refusal(_answer(416, "InvalidRange", size), HOLDER, "p")
    assert isinstance(found, RangeNotSatisfiableError)
    assert found.total == 77
