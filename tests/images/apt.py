"""Where this machine gets its Debian or Ubuntu packages from."""

import dataclasses
import platform
import shlex
from collections.abc import Mapping

from tests.cluster.commands import run
from tests.cluster.errors import ClusterError


@dataclasses.dataclass(frozen=True)
class AptSource:
    """A repository as apt's configuration names it.

    `components` are those that the machine uses, such as ("main", "universe"); `proxy` is ""
    when apt has none of its own.
    """

    address: str
    release: str
    components: tuple[str, ...]
    proxy: str = ""


def host_source() -> AptSource:
    """The repository of this machine's own release.

    Raises:
        ClusterError: the machine has no apt, or its configuration does not name its release.
    """
    release = codename(platform.freedesktop_os_release())
    targets = run(
        "apt-get", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(CREATED_BY)"
    )
    return choose(targets, release, proxy=_proxy())


def codename(system: Mapping[str, str]) -> str:
    """The release's name as its archive spells it, from the fields of os-release."""
    name = system.get("VERSION_CODENAME", "")
    if not name:
        raise ClusterError(
            f"{system.get('PRETTY_NAME', 'this system')} does not name a Debian or Ubuntu release;"
            " base images for tests are made from its packages"
        )
    return name


def choose(targets: str, release: str, *, proxy: str = "") -> AptSource:
    """Pick `release` out of apt's index targets, one `address|release|component|kind` a line.

    Raises:
        ClusterError: no line names the release.
    """
    found: dict[str, list[str]] = {}
    for line in targets.splitlines():
        address, suite, component, kind = line.split("|")
        if suite == release and kind == "Packages":
            found.setdefault(address.rstrip("/"), []).append(component)
    if not found:
        raise ClusterError(
            f"apt's configuration has no packages of {release}: check /etc/apt/sources.list*"
            " and run apt-get update"
        )
    # The archive itself has python3; another repository with this suite name (a vendor's) is
    # told apart by its lack of a main component.
    address = next((a for a, parts in found.items() if "main" in parts), next(iter(found)))
    return AptSource(address, release, tuple(sorted(set(found[address]))), proxy)


def _proxy() -> str:
    settings = run("apt-config", "shell", "PROXY", "Acquire::http::Proxy")
    for word in shlex.split(settings):
        _, _, value = word.partition("=")
        return "" if value == "DIRECT" else value
    return ""
