"""The token server of a registry: signs short-lived rights to one repository.

Source: distribution's "Token Authentication Specification" and "JWT".
"""

import base64
import datetime as dt
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import BasicAuth, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from tests.support.registry_process import PASSWORD, USER
from tests.support.web_apps import listening

_ISSUER: Final = "tests"
_SERVICE: Final = "registry"


class TokenServer:
    """Gives tokens to `USER`, and those of `public` repositories to anybody.

    Attributes:
        status: Answer this instead, while it is not 0.
        requests: Who asked ("" for nobody), and for which scope.
    """

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = _certificate(self._key)
        self._bundle = folder / "token-server.crt"
        self._bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        self.port = 0
        self.status = 0
        self.public: set[str] = set()
        self.requests: list[tuple[str, str]] = []

    @property
    def challenge(self) -> str:
        """The WWW-Authenticate header of a registry that believes this server."""
        return f'Bearer realm="http://127.0.0.1:{self.port}/token",service="{_SERVICE}"'

    @property
    def auth(self) -> dict[str, Any]:
        """The registry's `auth` settings."""
        return {
            "token": {
                "realm": f"http://127.0.0.1:{self.port}/token",
                "service": _SERVICE,
                "issuer": _ISSUER,
                "rootcertbundle": os.fspath(self._bundle),
                "signingalgorithms": ["ES256"],
            }
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator["TokenServer"]:
        """Serve while the block runs."""
        app = web.Application()
        app.router.add_get("/token", self._answer)
        app.router.add_post("/token", self._answer)
        async with listening(app) as self.port:
            yield self

    async def _answer(self, request: web.Request) -> web.Response:
        form = {**request.query, **await request.post()}
        scope = str(form.get("scope", ""))
        user = self._user(request, str(form.get("refresh_token", "")))
        self.requests.append((user or "", scope))
        if self.status:
            return web.Response(status=self.status, headers={"Retry-After": "1"})
        if user is None:
            return web.Response(status=401)
        _, name, actions = scope.split(":")
        allowed = actions.split(",") if user or name in self.public else []
        return web.json_response({"token": self.sign(user, name, allowed)})

    @staticmethod
    def _user(request: web.Request, refresh: str) -> str | None:
        """Who asks: "" for nobody in particular, None for somebody who lies."""
        if refresh:
            return USER if refresh == PASSWORD else None
        header = request.headers.get("Authorization")
        if header is None:
            return ""
        login = BasicAuth.decode(header)
        return USER if (login.login, login.password) == (USER, PASSWORD) else None

    def sign(self, user: str, name: str, actions: list[str]) -> str:
        """A token for somebody who may do something with one repository."""
        now = int(time.time())
        access = [{"type": "repository", "name": name, "actions": actions}] if actions else []
        der = self._certificate.public_bytes(serialization.Encoding.DER)
        header = {"alg": "ES256", "typ": "JWT", "x5c": [base64.b64encode(der).decode()]}
        claims = {
            "iss": _ISSUER,
            "sub": user,
            "aud": _SERVICE,
            "iat": now,
            "nbf": now - 10,
            "exp": now + 300,
            "access": access,
        }
        text = f"{_part(json.dumps(header).encode())}.{_part(json.dumps(claims).encode())}"
        signature = self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
        raw = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signature))
        return f"{text}.{_part(raw)}"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "token server")])
    now = dt.datetime.now(tz=dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
