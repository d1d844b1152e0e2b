"""How recorded requests and their answers are written down, and compared."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
JSON_OF_THE_ENGINE: Final = "application/json; charset=utf-8"
EVENTS: Final = "text/event-stream"
LINES: Final = "application/x-ndjson"


@dataclass(frozen=True)
class Answer:
    """What was answered.

    Attributes:
        status: HTTP's.
        kind: The content type, "" for none.
        shape: Of the JSON body, see `differs`.
        lines: Shapes of the lines of a stream: of the first and of the last one.
        says: What a body of text holds.
        headers: More headers that matter; None: it must not be there.
    """

    status: int
    kind: str = ""
    shape: Any = None
    lines: tuple[Any, Any] | None = None
    says: str = ""
    headers: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One request, and what Docker Model Runner answered to it.

    Attributes:
        number: Its place in the recording.
        body: Bytes, something to be written as JSON, or a function that makes one of them.
        theirs: The recorded answer.
        ours: Ours, where it differs on purpose.
        why: The reason for that.
        soon: Whether the answer tells of what is done in the background: it may come a bit later.
    """

    number: int
    method: str
    path: str
    theirs: Answer
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    ours: Answer | None = None
    why: str = ""
    soon: bool = False

    def __post_init__(self) -> None:
        """A difference has a reason, and a reason a difference."""
        assert bool(self.ours) is bool(self.why), self.number
        assert self.ours != self.theirs, self.number

    def ask(self, http: httpx.Client, **places: str) -> httpx.Response:
        """Send it; `places` are filled into the path and the body."""
        body = self.body() if callable(self.body) else self.body
        if not isinstance(body, bytes | None):
            body = json.dumps(body).encode()
        path = self.path
        for name, value in places.items():
            path = path.replace(f"<{name}>", value)
            body = body and body.replace(f"<{name}>".encode(), value.encode())
        headers = {"Content-Type": JSON} if body is not None else {}
        # As it stands: the client would put a path into another form.
        url = httpx.URL(str(http.base_url).rstrip("/"), raw_path=path.encode())
        return http.request(self.method, url, content=body, headers={**headers, **self.headers})

    def check(self, found: httpx.Response) -> None:
        """Compare an answer with what is expected here."""
        wanted = self.ours or self.theirs
        where = f"{self.number}: {self.method} {self.path}: {found.status_code} {found.text[:500]}"
        assert found.status_code == wanted.status, where
        assert found.headers.get("Content-Type", "") == wanted.kind, where
        for name, value in wanted.headers.items():
            assert found.headers.get(name) == value, f"{where}: {name}"
        assert wanted.says in found.text, where
        if wanted.shape is not None:
            assert not (wrong := differs(found.json(), wanted.shape)), f"{where}: {wrong}"
        if wanted.lines is not None:
            lines = [_data(line) for line in found.text.splitlines() if _is_data(line)]
            for line, shape in zip((lines[0], lines[-1]), wanted.lines, strict=True):
                assert not (wrong := differs(line, shape)), f"{where}: {wrong}"


def differs(value: Any, shape: Any, path: str = "") -> str:
    """Where a JSON value has another shape; "" when it has this one.

    A shape is a type, a dict of shapes (the key of an optional member ends with "?"), a list of one
    shape for all elements or of one for each, a tuple of shapes of which one must fit, or the
    value itself.
    """
    if isinstance(shape, tuple):
        found = [differs(value, one, path) for one in shape]
        return "" if "" in found else " or ".join(found)
    if isinstance(shape, type):
        is_number = shape is float and isinstance(value, int)
        fits = isinstance(value, shape) and (shape is not int or not isinstance(value, bool))
        return "" if fits or is_number else f"{path}: {value!r:.80} is no {shape.__name__}"
    if isinstance(shape, dict):
        return _differs_object(value, shape, path)
    if isinstance(shape, list):
        return _differs_list(value, shape, path)
    return "" if value == shape else f"{path}: {value!r:.80} is not {shape!r:.80}"


def _differs_list(value: Any, shape: list[Any], path: str) -> str:
    if not isinstance(value, list) or bool(value) is not bool(shape):
        return f"{path}: {value!r:.80} is no such list"
    if len(shape) > 1 and len(shape) != len(value):
        return f"{path}: {len(value)} elements"
    shapes = shape if len(shape) > 1 else shape * len(value)
    pairs = enumerate(zip(value, shapes, strict=True))
    wrong = (differs(one, kind, f"{path}[{number}]") for number, (one, kind) in pairs)
    return next((one for one in wrong if one), "")


def _differs_object(value: Any, shape: Mapping[str, Any], path: str) -> str:
    if not isinstance(value, dict):
        return f"{path}: {value!r:.80} is no object"
    known = {key.rstrip("?"): kind for key, kind in shape.items()}
    needed = {key for key in shape if not key.endswith("?")}
    if missing := needed - set(value):
        return f"{path}: without {sorted(missing)}"
    if extra := set(value) - set(known):
        return f"{path}: with {sorted(extra)}"
    wrong = (differs(one, known[key], f"{path}.{key}") for key, one in value.items())
    return next((one for one in wrong if one), "")


def _is_data(line: str) -> bool:
    return line.startswith(("data: {", "{"))


def _data(line: str) -> Any:
    return json.loads(line.removeprefix("data: "))
