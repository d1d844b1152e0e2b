"""The Hub's token out of a mounted Secret."""

from pathlib import Path
from typing import Final

from modelrunner_protocol.wire import Credentials
from runnerd.weights.failure import WeightsError

FILE: Final = "token"
_LONGEST: Final = 4096


def read_token(credentials: Credentials | None) -> str:
    """The token; "" without a Secret.

    Raises:
        WeightsError: the Secret is not there, or holds something else. It may be mended, so
            trying again may help.
    """
    if credentials is None:
        return ""
    name = credentials.secret
    try:
        with (Path(credentials.folder) / FILE).open("rb") as file:
            text = file.read(_LONGEST + 1).decode("ascii").strip()
    except FileNotFoundError as error:
        raise _broken(
            f"there is no Secret {name} in this namespace, or it has no key token", name
        ) from error
    except OSError as error:
        raise _broken(f"the Secret {name} cannot be read ({error.strerror})", name) from error
    except UnicodeDecodeError:
        # Not `from error`: its text holds what is secret.
        raise _broken(f"the key token of the Secret {name} is not text", name) from None
    if not text.isprintable() or not text or " " in text or len(text) > _LONGEST:
        raise _broken(f"the key token of the Secret {name} does not hold a token", name)
    return text


def _broken(what: str, secret: str) -> WeightsError:
    mend = f"create it with `kubectl create secret generic {secret} --from-literal=token=…`"
    return WeightsError(f"{what}: {mend}", retryable=True)
