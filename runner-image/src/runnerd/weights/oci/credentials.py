"""Logins out of a docker `config.json`, as the kubelet mounts a pull Secret."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from modelrunner_protocol.references import HUB
from modelrunner_protocol.wire import Credentials
from runnerd.weights.failure import WeightsError

FILE: Final = "config.json"
DOCKER_CONFIG: Final = "DOCKER_CONFIG"
"""Environment variable that names the folder of the file that `docker login` writes."""

_LONGEST: Final = 1024 * 1024
_HUB_NAMES: Final = frozenset({"index.docker.io", "registry-1.docker.io"})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Login:
    """Who we are to a registry: a name and a password, or a token. Never shown."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""


@dataclass(frozen=True, slots=True)
class Keyring:
    """Logins by registry, or by registry and the beginning of a repository's name.

    Attributes:
        origin: Where they come from, in words.
        logins: "registry.example.com" or "registry.example.com/team" → login.
    """

    origin: str = ""
    logins: dict[str, Login] | None = None

    def find(self, registry: str, repository: str) -> Login | None:
        """The login whose key fits longest; None when none does."""
        path = f"{_plain(registry)}/{repository}/"
        logins = self.logins or {}
        fitting = [key for key in logins if path.startswith(f"{key}/")]
        return logins[max(fitting, key=len)] if fitting else None

    @property
    def registries(self) -> str:
        """For whom there are logins, in words."""
        return ", ".join(sorted(self.logins or {})[:5]) or "nobody"


def read_keyring(credentials: Credentials | None) -> Keyring:
    """The logins in a mounted Secret; none without one.

    Raises:
        WeightsError: the Secret is not there, or holds something else. It may be mended, so
            trying again may help.
    """
    if credentials is None:
        return Keyring()
    name = credentials.secret
    try:
        with (Path(credentials.folder) / FILE).open("rb") as file:
            data = file.read(_LONGEST)
    except FileNotFoundError as error:
        raise _broken(
            f"there is no Secret {name} in this namespace, or it has no key .dockerconfigjson", name
        ) from error
    except OSError as error:
        raise _broken(f"the Secret {name} cannot be read ({error.strerror})", name) from error
    return parse_keyring(data, f"the Secret {name}", name)


def docker_keyring(environment: Mapping[str, str]) -> Keyring:
    """The logins of `docker login`; none when nobody ever logged in.

    Raises:
        WeightsError: the file holds something else.
        OSError: it cannot be read.
    """
    folder = environment.get(DOCKER_CONFIG) or Path(environment.get("HOME", "/")) / ".docker"
    path = Path(folder) / FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Keyring()
    return parse_keyring(data, str(path))


def parse_keyring(data: bytes, origin: str, secret: str = "") -> Keyring:
    """The logins of a `config.json`.

    Raises:
        WeightsError: it is not one; the message holds nothing of its content.
    """
    try:
        auths = json.loads(data)["auths"]
        logins = {_plain(key): _login(value) for key, value in auths.items()}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        # Not `from error`: its text may hold what is secret.
        kind = type(error).__name__
        raise _broken(f"{origin} does not hold a docker config.json ({kind})", secret) from None
    return Keyring(origin, {key: login for key, login in logins.items() if login is not None})


def _login(found: Any) -> Login | None:
    """None for an entry that only says that a credential helper knows more."""
    username, password = found.get("username", ""), found.get("password", "")
    if auth := found.get("auth", ""):
        text = base64.b64decode(auth, validate=True).decode().rstrip("\0")
        username, colon, password = text.partition(":")
        if not colon:
            raise ValueError("no colon")
    login = Login(
        username=str(username),
        password=str(password),
        identity_token=str(found.get("identitytoken") or ""),
        registry_token=str(found.get("registrytoken") or ""),
    )
    return login if any((username, login.identity_token, login.registry_token)) else None


def _plain(key: str) -> str:
    """A key of `auths` as `registry` or `registry/path`."""
    host, slash, path = key.partition("://")[2 if "://" in key else 0].partition("/")
    path = "" if path.strip("/") in {"v1", "v2"} else path.strip("/")
    name = HUB if host.lower() in _HUB_NAMES else host.lower()
    return f"{name}/{path}" if slash and path else name


def _broken(what: str, secret: str) -> WeightsError:
    mend = f": create it with `kubectl create secret docker-registry {secret} …`" if secret else ""
    return WeightsError(f"{what}{mend}", retryable=True)
