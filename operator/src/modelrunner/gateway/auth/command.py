"""`modelrunner api-key`: makes an API key. The Secret goes to stdout, the key itself to stderr.

modelrunner api-key --name alice 2>alice.key | kubectl apply --filename -
"""

import argparse
import hashlib
import json
import os
import re
import secrets
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from modelrunner.gateway.auth.globs import EVERYTHING, Globs
from modelrunner.gateway.auth.key import INFER, LABEL, read_count, read_expiry, read_scopes

PREFIX: Final = "mrk_"
"""By which people and scanners of leaked secrets know one of our keys."""

_BYTES: Final = 32
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SPAN: Final = re.compile(r"([1-9][0-9]{0,4})([dh])")


def main(words: Sequence[str] | None = None) -> int:
    """Make a key and print it; gives the exit status."""
    given = _parser().parse_args(words)
    key = PREFIX + secrets.token_urlsafe(_BYTES)
    sys.stdout.write(_manifest(given, key))
    sys.stderr.write(f"{key}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modelrunner api-key",
        description="Makes an API key for the gateway. Standard output gets the Secret, which holds"
        " only the key's hash, standard error the key itself: it is shown this once.",
        epilog="Example: modelrunner api-key --name alice 2>alice.key | kubectl apply -n"
        " model-runner-system -f -",
    )
    parser.add_argument(
        "--name",
        type=_told(_name),
        default=f"api-key-{secrets.token_hex(3)}",
        help="name of the Secret, and of the key in logs and metrics",
    )
    parser.add_argument(
        "--namespace",
        type=_told(_name),
        default=os.environ.get("POD_NAMESPACE"),
        help="namespace of the Secret, that of the gateway (default: in a pod the pod's, else"
        " kubectl's)",
    )
    parser.add_argument(
        "--scopes",
        type=_told(_scopes),
        default=INFER,
        help="what it may be used for: infer, manage or both, by comma (default: infer)",
    )
    parser.add_argument(
        "--models",
        type=_told(_models),
        default=EVERYTHING,
        help="models it is good for, as patterns over namespace/name, by comma (default: *)",
    )
    parser.add_argument(
        "--max-concurrent", type=_told(_count), metavar="N", help="requests at once"
    )
    parser.add_argument(
        "--requests-per-minute", type=_told(_count), metavar="N", help="requests a minute"
    )
    parser.add_argument(
        "--expires",
        type=_told(_expiry),
        metavar="TIME",
        help="when it ends: 90d, 12h, or a time such as 2030-01-31T00:00:00Z",
    )
    return parser


def _manifest(given: argparse.Namespace, key: str) -> str:
    bounds = {
        "sha256": hashlib.sha256(key.encode()).hexdigest(),
        "scopes": given.scopes,
        "models": given.models,
        "maxConcurrent": given.max_concurrent,
        "requestsPerMinute": given.requests_per_minute,
        "expires": given.expires,
    }
    # Quoted, all of them: Kubernetes reads more words as numbers than Python's YAML quotes.
    data = [f"  {name}: {json.dumps(value)}" for name, value in bounds.items() if value]
    namespace = [f"  namespace: {json.dumps(given.namespace)}"] if given.namespace else []
    lines = [
        "apiVersion: v1",
        "kind: Secret",
        "metadata:",
        f"  name: {json.dumps(given.name)}",
        *namespace,
        "  labels:",
        f'    {LABEL}: "true"',
        "type: Opaque",
        "stringData:",
        *data,
    ]
    return "\n".join(lines) + "\n"


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("must be lower-case letters, digits and dashes")
    return text


def _scopes(text: str) -> str:
    return ",".join(sorted(read_scopes(text)))


def _models(text: str) -> str:
    return Globs.parse(text).text


def _count(text: str) -> str:
    return str(read_count(text))


def _expiry(text: str) -> str:
    if found := _SPAN.fullmatch(text):
        number = int(found[1])
        span = timedelta(days=number) if found[2] == "d" else timedelta(hours=number)
        return (datetime.now(tz=UTC) + span).isoformat(timespec="seconds")
    read_expiry(text)
    return text


def _told(read: Callable[[str], str]) -> Callable[[str], str]:
    """An argument's type that tells what is wrong; argparse hides a ValueError's words."""

    def checked(text: str) -> str:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


if __name__ == "__main__":
    sys.exit(main())
