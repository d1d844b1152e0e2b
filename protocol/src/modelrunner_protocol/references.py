"""Model references: which spellings of a model's name are the same name.

Source: docker/model-runner `pkg/distribution/distribution/client.go` (`normalizeModelName`, table
in `normalize_test.go`). We know more spellings of Docker Hub, decode percent signs, keep a digest
apart from a tag, and say of hostile text that it is no reference instead of passing it on.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

LONGEST: Final = 512
"""Characters that a reference may have; longer text is not looked at."""

_ORGANISATION: Final = "ai/"
_TAG: Final = "latest"
HUB: Final = "docker.io"
"""The registry of references that name none."""

_HUB: Final = ("docker.io/", "index.docker.io/", "registry-1.docker.io/")
_SHORT_HUGGING_FACE: Final = "hf.co/"
_HUGGING_FACE: Final = "huggingface.co/"

# What an alias may hold (the schema of Model says the same), so everything else matches nothing.
_CHARACTERS: Final = re.compile(r"[A-Za-z0-9._:/@-]+")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_REPOSITORY: Final = re.compile(r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*")
_TAG_PATTERN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_LABEL: Final = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_REGISTRY: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?")
_IDENTITY: Final = re.compile(r"[0-9a-f]{12}|[0-9a-f]{64}|sha256:[0-9a-f]{64}")


def normalize(text: str) -> str:
    """The one spelling of a reference: `Gemma3` → `ai/gemma3:latest`; "" for what is none.

    The Docker Hub's domains are dropped, `hf.co` becomes `huggingface.co`, the name is
    lower-cased, a tag or a digest is kept as it is. Identities (12 or 64 hexadecimal digits,
    `sha256:` and 64) stay as they are. Normalised text stays the same when normalised again.
    """
    if len(text) > LONGEST:
        return ""
    text = text.strip()
    if "%" in text:
        text = unquote(text)
    if not _CHARACTERS.fullmatch(text):
        return ""
    if _IDENTITY.fullmatch(text):
        return text
    name, suffix = _split(text)
    name = _without_hub(name.lower())
    if name.startswith(_SHORT_HUGGING_FACE):
        name = _HUGGING_FACE + name.removeprefix(_SHORT_HUGGING_FACE)
    if not all(name.split("/")):
        return ""
    return f"{name}{suffix}" if "/" in name else f"{_ORGANISATION}{name}{suffix}"


@dataclass(frozen=True, slots=True)
class Location:
    """Where a reference leads: `docker.io`, `ai/smollm2`, and a tag or a digest, the other "".

    `registry` is a host, with a port if it has one.
    """

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def version(self) -> str:
        """The tag or the digest, as a registry is asked for it."""
        return self.digest or self.tag


def locate(text: str) -> Location:
    """Where in which registry a reference leads.

    A name's first part is a registry when it looks like a host: it holds a dot or a port, or is
    `localhost`; else the registry is the Docker Hub.

    Raises:
        ValueError: no registry could hold something under that name; the message says why.
    """
    found = normalize(text)
    if not found or _IDENTITY.fullmatch(found):
        raise ValueError(f"{text[:80]!r} is no reference: write registry/repository:tag")
    name, suffix = _split(found)
    first, _, rest = name.partition("/")
    is_host = "." in first or ":" in first or first == "localhost"
    registry, repository = (first, rest) if is_host else (HUB, name)
    if not _REGISTRY.fullmatch(registry):
        raise ValueError(f"{registry[:80]!r} is not the name of a registry")
    if not all(_REPOSITORY.fullmatch(part) for part in repository.split("/")):
        raise ValueError(f"{repository[:80]!r} is not the name of a repository")
    if suffix.startswith("@"):
        return Location(registry, repository, digest=suffix[1:])
    if not _TAG_PATTERN.fullmatch(suffix[1:]):
        raise ValueError(f"{suffix[1:][:80]!r} is not a tag")
    return Location(registry, repository, tag=suffix[1:])


def key(text: str) -> str:
    """What equal references share, to look them up by; "" for what is no reference."""
    return normalize(text)


def _split(text: str) -> tuple[str, str]:
    """Name and suffix; of a tag and a digest the digest says more."""
    head, at, digest = text.rpartition("@")
    if at and _DIGEST.fullmatch(digest):
        return _split_tag(head)[0], f"@{digest}"
    name, tag = _split_tag(text)
    return name, f":{tag or _TAG}"


def _split_tag(text: str) -> tuple[str, str]:
    """A colon before the last slash belongs to a domain's port."""
    name, colon, tag = text.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (text, "")


def _without_hub(name: str) -> str:
    while name.startswith(_HUB):
        name = name.partition("/")[2]
    return name
