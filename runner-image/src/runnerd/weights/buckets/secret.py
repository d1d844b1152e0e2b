"""A bucket's mounted Secret, key by key."""

from pathlib import Path
from typing import Final

from modelrunner_protocol.wire import Credentials
from runnerd.weights.failure import WeightsError

_LONGEST: Final = 16 * 1024


class Secret:
    """What the user's Secret holds.

    Args:
        credentials: Where it is mounted.
        recipe: Arguments of `kubectl create secret generic NAME` that make a good one.
    """

    def __init__(self, credentials: Credentials, recipe: str) -> None:
        self.name = credentials.secret
        self._folder = Path(credentials.folder)
        self._recipe = recipe

    def text(self, key: str) -> str:
        """What a key holds, without white space at its ends; "" where it is not there.

        Raises:
            WeightsError: it is unreadable or no text.
        """
        try:
            with (self._folder / key).open("rb") as file:
                data = file.read(_LONGEST + 1)
            text = data.decode().strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise self.broken(
                f"the Secret {self.name} cannot be read ({error.strerror})"
            ) from error
        except UnicodeDecodeError:
            # Not `from error`: its text holds what is secret.
            raise self.broken(f"the key {key} of the Secret {self.name} is not text") from None
        if not text or len(data) > _LONGEST:
            raise self.unfit(key)
        return text

    def word(self, key: str) -> str:
        """What a key holds, if that is one word; "" where it is not there.

        Raises:
            WeightsError: it holds something else.
        """
        text = self.text(key)
        if not (text.isascii() and text.isprintable()) or " " in text:
            raise self.unfit(key)
        return text

    def needed(self, key: str, text: str) -> str:
        """The text that a key was found to hold.

        Raises:
            WeightsError: there is none.
        """
        if not text:
            raise self.lacking(f"no key {key}")
        return text

    def lacking(self, what: str) -> WeightsError:
        """The Secret is not there, or lacks something: nobody can tell in a pod."""
        return self.broken(f"there is no Secret {self.name} in this namespace, or it has {what}")

    def unfit(self, key: str) -> WeightsError:
        """A key holds something else."""
        return self.broken(f"the key {key} of the Secret {self.name} does not hold such a key")

    def broken(self, what: str) -> WeightsError:
        """It cannot be used, until somebody mends it."""
        mend = f"create it with `kubectl create secret generic {self.name} {self._recipe}`"
        return WeightsError(f"{what}: {mend}", retryable=True)
