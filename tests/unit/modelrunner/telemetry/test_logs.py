"""JSON logs: one line each, extras kept, secrets not."""

import io
import json
import logging

import pytest

from modelrunner.telemetry.logs import JsonFormatter, configure, redacted

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl"


def logged(message: str, *args: object, **named: object) -> dict[str, object]:
    """What a record becomes."""
    record = logging.getLogger("x").makeRecord(
        "x", logging.INFO, "f", 1, message, args, None, extra=dict(named)
    )
    found: dict[str, object] = json.loads(JsonFormatter().format(record))
    return found


def test_a_record_is_one_line_of_json_with_its_extras() -> None:
    """Time in UTC, level, logger, the message put together, and plain extras."""
    line = logged("hello %s\nworld", "you", port=8080, thing=object())
    assert line["message"] == "hello you\nworld"
    assert (line["level"], line["logger"], line["port"]) == ("info", "x", 8080)
    assert "thing" not in line
    assert str(line["time"]).endswith("+00:00")


def test_exceptions_are_part_of_their_line() -> None:
    """A stack does not break the line format."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("test-exceptions")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        int(f"token {JWT}")
    except ValueError:
        logger.exception("failed")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    found = json.loads(lines[0])
    assert "ValueError" in found["exception"]
    assert JWT not in lines[0]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdefgh12345", "abcdefgh12345"),
        ("basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
        (f"got {JWT} from", "eyJzdWIi"),
        ("GET https://user:hunter2@host/x", "hunter2"),
    ],
)
def test_what_looks_like_a_credential_is_left_out(text: str, secret: str) -> None:
    """Whatever library logs it."""
    assert secret not in redacted(text)
    assert "[redacted]" in redacted(text)


def test_ordinary_text_is_left_alone() -> None:
    """No false alarms in what people read."""
    text = "pulled http://host/model.gguf (bearer of news) for ns/m1"
    assert redacted(text) == text


def test_configure_takes_over_the_root_and_quiets_the_libraries() -> None:
    """One format for all; kopf and aiohttp only warn."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    kopf_level = logging.getLogger("kopf").level
    stream = io.StringIO()
    try:
        configure("INFO", stream=stream)
        logging.getLogger("kopf.objects").info("noise")
        logging.getLogger("kopf.objects").warning("trouble")
        logging.getLogger("modelrunner").info("ours")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        logging.getLogger("kopf").setLevel(kopf_level)
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == [
        "trouble",
        "ours",
    ]
