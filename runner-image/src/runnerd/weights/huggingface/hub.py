"""What the Hub says of a repository, by its own client library.

The library is only asked what there is. The bytes come through the pull engine, as those of every
other source do: it resumes, hashes while it writes and needs little memory (docs/adr/0009).
"""

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import HuggingFaceSource
from runnerd.weights.advice import Advice
from runnerd.weights.choice import StoredFile
from runnerd.weights.failure import DeniedError, MissingError, TransientError, WeightsError
from runnerd.weights.http_status import transient

ENDPOINT: Final = "HF_ENDPOINT"
"""The Hub's URL, when it is another than the public one."""

MODEL: Final = Advice(
    reference="correct spec.source.huggingFace.repository",
    login="name a Secret with the key `token` in spec.source.credentialsSecret",
)
"""For whoever wrote a Model with a repository of the Hub."""

_PUBLIC: Final = "https://huggingface.co"
_TIMEOUT: Final = 15.0
_REVISION: Final = "main"
_COMMIT: Final = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{0,254}")
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}|")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A repository at one commit, which never changes."""

    commit: str
    files: tuple[StoredFile, ...]


class Hub:
    """One Hub, as one user.

    Args:
        token: "" for nobody. It is sent to the Hub's own host only.
        origin: Where the token comes from, in words; "" without one.
        advice: For whoever asked.

    Raises:
        WeightsError: the environment names a Hub that is none.
    """

    def __init__(
        self,
        *,
        token: str = "",
        origin: str = "",
        advice: Advice = MODEL,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.base = (environment.get(ENDPOINT) or _PUBLIC).rstrip("/")
        if not self.base.startswith(("http://", "https://")):
            raise WeightsError(
                f"the variable {ENDPOINT} holds no http:// or https:// URL: correct it in the "
                "ModelRunner's env",
                reason=Reason.INVALID_CONFIGURATION,
            )
        self.authorization = f"Bearer {token}" if token else ""
        self._origin = origin
        self._advice = advice
        # False: never the token that the library might find on this machine.
        self._api = HfApi(endpoint=self.base, token=token or False, library_name="runnerd")

    def url(self, source: HuggingFaceSource, commit: str, path: str) -> str:
        """Where a file is; it redirects to the store that holds its bytes."""
        return f"{self.base}/{source.repository}/resolve/{commit}/{quote(path)}"

    async def snapshot(self, source: HuggingFaceSource, revision: str = "") -> Snapshot:
        """The files of a repository at a revision: a branch, a tag or a commit.

        Raises:
            WeightsError: there is none, or it is not for us.
            TransientError: trying again may help.
        """
        wanted = revision or source.revision or _REVISION
        try:
            found = await asyncio.to_thread(
                self._api.model_info,
                source.repository,
                revision=wanted,
                files_metadata=True,
                timeout=_TIMEOUT,
            )
            return _snapshot(found, wanted)
        except (TypeError, LookupError, AttributeError) as error:
            raise WeightsError(
                f"{self.base} does not answer as a Hub does when asked for {source.repository}: correct "
                f"{ENDPOINT}, or mend the proxy before it",
                retryable=True,
            ) from error
        except Exception as error:
            raise self._refused(error, source, wanted) from error

    def denied(self, status: int, source: HuggingFaceSource) -> WeightsError:
        """What to tell when a file or a repository is not for us; mending it may help later."""
        where = f"the repository {source.repository}"
        if self.authorization:
            text = f"{where} is not for the holder of the token in {self._origin} (status {status})"
            mend = "ask for access on its page, or use the token of somebody who has it"
        else:
            text = f"{where} does not exist, is private, or asks for a login (status {status})"
            mend = f"{self._advice.reference}, or {self._advice.login}"
        # Nobody without a login is told that there is nothing.
        kind = MissingError if status == 404 else DeniedError
        return kind(f"{text}: {mend}", retryable=True)

    def _refused(self, error: Exception, source: HuggingFaceSource, revision: str) -> Exception:
        status = _status(error)
        if isinstance(error, RevisionNotFoundError):
            return MissingError(
                f"the repository {source.repository} has no revision {revision}: correct "
                "spec.source.huggingFace.revision"
            )
        if isinstance(error, HFValidationError):
            return WeightsError(
                f"{source.repository!r} is not a repository's name, such as owner/name: "
                f"{self._advice.reference}",
                reason=Reason.INVALID_CONFIGURATION,
            )
        if isinstance(error, GatedRepoError | RepositoryNotFoundError) or status in {401, 403}:
            return self.denied(status or 404, source)
        if isinstance(error, HfHubHTTPError) and error.response is not None:
            passing = transient(error.response.status_code, error.response.headers)
            return passing or WeightsError(
                f"the Hub answered {status} when asked for {source.repository}", retryable=True
            )
        if isinstance(error, OSError | ValueError) or _is_network(error):
            return TransientError(f"the Hub does not answer ({type(error).__name__})")
        return error


def _snapshot(told: Any, wanted: str) -> Snapshot:
    """What the library made of the Hub's answer, which it does not check.

    Raises:
        TypeError: it is something else.
        AttributeError: likewise.
    """
    commit = told.sha or wanted
    if _COMMIT.fullmatch(commit) is None:
        raise TypeError("no commit")
    return Snapshot(commit=commit, files=tuple(map(_stored, told.siblings or ())))


def _stored(told: Any) -> StoredFile:
    lfs = told.lfs
    size = lfs.size if told.size is None and lfs is not None else told.size
    sha256 = lfs.sha256 if lfs is not None else None
    if (
        not isinstance(told.rfilename, str)
        or type(size) not in {int, type(None)}
        or not (sha256 is None or (isinstance(sha256, str) and _SHA256.fullmatch(sha256)))
    ):
        raise TypeError("no file")
    return StoredFile(path=told.rfilename, size=size or 0, sha256=(sha256 or "").lower())


def _status(error: Exception) -> int | None:
    response = getattr(error, "response", None)
    return getattr(response, "status_code", None)


def _is_network(error: Exception) -> bool:
    """Whether the HTTP client that the library uses failed; which one it is has changed."""
    return any(kind.__module__.startswith("httpx") for kind in type(error).__mro__)
