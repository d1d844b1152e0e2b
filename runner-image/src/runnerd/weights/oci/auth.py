"""Authorization headers for a registry: basic, or a token from the server it names.

Source: distribution's "Token Authentication Specification" and "OAuth2 Token Authentication".
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from runnerd.weights.advice import MODEL, Advice
from runnerd.weights.failure import DeniedError, TransientError, WeightsError
from runnerd.weights.http_body import read_whole
from runnerd.weights.http_session import send
from runnerd.weights.http_status import transient
from runnerd.weights.oci.challenge import Challenge, parse_challenges
from runnerd.weights.oci.credentials import Keyring, Login

_CLIENT: Final = "model-runner-operator"
_LONGEST_ANSWER: Final = 1024 * 1024
_REFUSED: Final = frozenset({400, 401, 403, 404})


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorizer:
    """Earns the right to do something with one repository of one registry.

    Args:
        session: From `http_session.new_session`.
        registry: Its name, as users and their Secrets write it.
        repository: What it is about.
        actions: "pull" or "pull,push".
        keyring: What we know.
        secure: Whether the registry is spoken to by https: then its token server is as well.
        advice: For whoever asked.
    """

    session: aiohttp.ClientSession
    registry: str
    repository: str
    actions: str
    keyring: Keyring
    secure: bool
    advice: Advice = MODEL

    @property
    def login(self) -> Login | None:
        """Who we are to this registry."""
        return self.keyring.find(self.registry, self.repository)

    async def authorize(self, headers: Iterable[str]) -> str:
        """The Authorization header that answers the WWW-Authenticate `headers` of a 401.

        Raises:
            WeightsError: nothing that we know would convince the server.
            TransientError: the token server does not answer now.
        """
        challenges = {one.scheme: one for one in reversed(parse_challenges(headers))}
        login = self.login
        if login is not None and login.registry_token:
            return f"Bearer {_clean(login.registry_token)}"
        if "bearer" in challenges:
            return f"Bearer {await self._token(challenges['bearer'], login)}"
        if "basic" in challenges and login is not None and login.username:
            return _basic(login)
        raise self.denied(401)

    def denied(self, status: int) -> DeniedError:
        """The failure to tell when the registry does not let us in."""
        where = f"the registry {self.registry} does not give access to {self.repository} ({status})"
        if not self.keyring.origin:
            return DeniedError(
                f"{where}: there is no such repository, or it is private; then {self.advice.login}"
            )
        if self.login is None:
            return DeniedError(
                f"{where}, and {self.keyring.origin} holds no credentials for {self.registry} (but for "
                f"{self.keyring.registries}): add them",
                retryable=True,
            )
        user = self.login.username or "the token's owner"
        return DeniedError(
            f"{where} to {user}: check the repository's name, the password in {self.keyring.origin} "
            "and what that user may read",
            retryable=True,
        )

    async def _token(self, challenge: Challenge, login: Login | None) -> str:
        url = self._realm(challenge)
        question = {
            "service": challenge.parameters.get("service", ""),
            "scope": challenge.parameters.get("scope")
            or f"repository:{self.repository}:{self.actions}",
        }
        question = {key: value for key, value in question.items() if value}
        if login is not None and login.identity_token:
            form = question | {
                "grant_type": "refresh_token",
                "refresh_token": login.identity_token,
                "client_id": _CLIENT,
            }
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            response = await send(self.session, "POST", url, kind, urlencode(form).encode())
        else:
            known = login is not None and bool(login.username)
            headers = {"Authorization": _basic(login)} if login is not None and known else {}
            response = await send(self.session, "GET", url.update_query(question), headers)
        async with response:
            return await self._read_token(response, url)

    def _realm(self, challenge: Challenge) -> URL:
        try:
            url = URL(challenge.parameters.get("realm", ""))
            host = url.host
        except ValueError:
            url, host = URL(), None
        if not host or url.scheme not in ({"https"} if self.secure else {"http", "https"}):
            raise WeightsError(
                f"the registry {self.registry} names a token server that is not asked "
                f"({url.scheme or 'no'} URL): it has to be an https:// URL"
            )
        return url

    async def _read_token(self, response: aiohttp.ClientResponse, url: URL) -> str:
        if (passing := transient(response.status, response.headers)) is not None:
            wait = passing.retry_after
            raise TransientError(f"the token server {url.host}: {passing}", retry_after=wait)
        if response.status in _REFUSED:
            raise self.denied(response.status)
        data = await read_whole(response, _LONGEST_ANSWER) if response.status == 200 else b""
        token = _token_in(data)
        if not token:
            raise WeightsError(
                f"the token server {url.host} of the registry {self.registry} answered "
                f"{response.status} without a token",
                retryable=True,
            )
        return token


def _token_in(data: bytes) -> str:
    try:
        found: Any = json.loads(data)
        return _clean(found.get("token") or found.get("access_token") or "")
    except (ValueError, AttributeError, TypeError, RecursionError):
        return ""


def _clean(token: str) -> str:
    """A token as a header may hold it; "" for what is none."""
    return token if token.isascii() and token.isprintable() and " " not in token else ""


def _basic(login: Login) -> str:
    text = f"{login.username}:{login.password}"
    return f"Basic {base64.b64encode(text.encode()).decode()}"
