"""The keys of a bucket's user out of a mounted Secret."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from modelrunner_protocol.wire import Credentials
from runnerd.weights.failure import WeightsError

IDENTIFIER_KEY: Final = "AWS_ACCESS_KEY_ID"
SIGNING_KEY: Final = "AWS_SECRET_ACCESS_KEY"
SESSION_KEY: Final = "AWS_SESSION_TOKEN"
_LONGEST: Final = 16 * 1024


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
    return Keys(
        access_key=_read(credentials, IDENTIFIER_KEY),
        secret_key=_read(credentials, SIGNING_KEY),
        session_token=_read(credentials, SESSION_KEY, optional=True),
    )


def _read(credentials: Credentials, key: str, *, optional: bool = False) -> str:
    name = credentials.secret
    try:
        with (Path(credentials.folder) / key).open("rb") as file:
            text = file.read(_LONGEST + 1).decode("ascii").strip()
    except FileNotFoundError as error:
        if optional:
            return ""
        raise _broken(
            f"there is no Secret {name} in this namespace, or it has no key {key}", name
        ) from error
    except OSError as error:
        raise _broken(f"the Secret {name} cannot be read ({error.strerror})", name) from error
    except UnicodeDecodeError:
        # Not `from error`: its text holds what is secret.
        raise _broken(f"the key {key} of the Secret {name} is not text", name) from None
    if not text.isprintable() or " " in text or len(text) > _LONGEST or not (text or optional):
        raise _broken(f"the key {key} of the Secret {name} does not hold such a key", name)
    return text


def _broken(what: str, secret: str) -> WeightsError:
    mend = (
        f"create it with `kubectl create secret generic {secret} --from-literal={IDENTIFIER_KEY}=… "
        f"--from-literal={SIGNING_KEY}=…`"
    )
    return WeightsError(f"{what}: {mend}", retryable=True)
