"""What pip needs inside a build to reach the index that this machine uses.

It goes in as secrets, so no layer and no history of an image holds an address, a
certificate or a password.
"""

import ast
import dataclasses
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.cluster.commands import run

_CERTIFICATES: Final = "/run/secrets/ca.pem"
# Where the Dockerfiles put the context's folder `requirements/wheels`.
WHEELS: Final = "/src/requirements/wheels"
_KEPT: Final = {
    "cert",
    "default-timeout",
    "extra-index-url",
    "find-links",
    "index-url",
    "no-index",
    "proxy",
    "retries",
    "timeout",
    "trusted-host",
}


@dataclasses.dataclass(frozen=True)
class PipSettings:
    """`configuration` is a pip.conf; `certificates` a bundle on this machine, if there is one.

    `wheels` are files of this machine's folders of wheels, for the build's `WHEELS`.
    """

    configuration: str
    certificates: Path | None
    wheels: tuple[Path, ...]


def host_settings(environment: Mapping[str, str] = os.environ) -> PipSettings:
    """What pip on this machine goes by: its files and variables, and OpenSSL's variable."""
    listed = run(sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list")
    return translate(listed, environment)


def translate(listed: str, environment: Mapping[str, str]) -> PipSettings:
    """Turn the output of `pip config list` into settings that hold inside a build."""
    found = _effective(listed)
    bundle = found.pop("cert", "") or environment.get("SSL_CERT_FILE", "")
    certificates = Path(bundle) if bundle and Path(bundle).is_file() else None
    found_links = found.pop("find-links", "").split()
    links = [link for link in found_links if "://" in link]
    wheels = [file for link in found_links for file in sorted(Path(link).glob("*.whl"))]
    if wheels:
        links.append(WHEELS)
    lines = [f"{key} = {_continued(value)}" for key, value in sorted(found.items())]
    if links:
        lines.append(f"find-links = {_continued(' '.join(links))}")
    if certificates is not None:
        lines.append(f"cert = {_CERTIFICATES}")
    return PipSettings("\n".join(["[global]", *lines, ""]), certificates, tuple(wheels))


def _effective(listed: str) -> dict[str, str]:
    # Variables win over files, and `install` over `global`, as in pip itself.
    order = {"global": 0, "install": 1, ":env:": 2}
    entries = []
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if key in _KEPT and section in order:
            entries.append((order[section], key, str(ast.literal_eval(value))))
    return {key: text for _, key, text in sorted(entries)}


def _continued(value: str) -> str:
    # An indented line continues a value; several addresses are written that way.
    return "\n    ".join(value.split()) if len(value.split()) > 1 else value
