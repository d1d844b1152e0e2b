"""The programs that build images: docker where its daemon answers, else buildah."""

import abc
import dataclasses
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.cluster.commands import run, succeeds
from tests.cluster.errors import ClusterError
from tests.images.archives import write_archive
from tests.images.logs import run_logged
from tests.images.pip_settings import PipSettings
from tests.images.restricted import RESTRICTED
from tests.images.tools import docker_answers

_BUILD_SECONDS: Final = 1800
_MOST_STORED: Final = 4 * 10**9
_UNITS: Final = {"B": 1, "KB": 10**3, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_PROXIES: Final = ("http_proxy", "https_proxy", "no_proxy")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One image to build: `arguments` are build arguments, `pip` what its pip goes by.

    `pull`: whether base images that are not in the store may come from a registry.
    """

    name: str
    context: Path
    file: Path
    arguments: Mapping[str, str] = dataclasses.field(default_factory=dict)
    pip: PipSettings | None = None
    pull: bool = False


class Builder(abc.ABC):
    """Builds images into a store of its own and writes them to archives."""

    name: str

    @abc.abstractmethod
    def has(self, image: str) -> bool:
        """Whether the store holds an image of this name."""

    @abc.abstractmethod
    def build(self, recipe: Recipe, log: Path) -> None:
        """Build one image; what the builder says goes to `log`.

        Raises:
            ClusterError: with the end of the log.
        """

    @abc.abstractmethod
    def save(self, names: Sequence[str], archive: Path) -> None:
        """Write the image that is called `names[0]` as an archive that knows all `names`."""

    @abc.abstractmethod
    def remove(self, images: Sequence[str]) -> None:
        """Take images out of the store; those that it does not hold do not matter."""

    @abc.abstractmethod
    def load(self, archive: Path, image: str) -> None:
        """Bring an image back from its archive."""

    @abc.abstractmethod
    def run(self, image: str, *words: str, entry: Sequence[str] | None = None) -> str:
        """What the entry point (or `entry` in its place) prints, run as a restricted pod runs it.

        That is: the image's own user, a read-only root with a writable /tmp, no new privileges,
        and no network.
        """

    @abc.abstractmethod
    def unpacked_size(self, image: str) -> int:
        """Bytes of the image's unpacked layers."""


class Docker(Builder):
    """A daemon with BuildKit."""

    name = "docker"

    def has(self, image: str) -> bool:
        """See `Builder`."""
        return succeeds("docker", "image", "inspect", image)

    def build(self, recipe: Recipe, log: Path) -> None:
        """See `Builder`."""
        with secrets(recipe.pip) as flags:
            words: list[str | Path] = ["docker", "build", "--progress", "plain", *flags]
            for proxy in _PROXIES:
                if any(os.environ.get(spelling) for spelling in (proxy, proxy.upper())):
                    words += ["--build-arg", proxy, "--build-arg", proxy.upper()]
            words += [*_arguments(recipe), "--tag", recipe.name, "--file", recipe.file]
            run_logged(
                log,
                *words,
                recipe.context,
                environment={"DOCKER_BUILDKIT": "1"},
                timeout=_BUILD_SECONDS,
            )

    def save(self, names: Sequence[str], archive: Path) -> None:
        """See `Builder`."""
        for name in names[1:]:
            run("docker", "image", "tag", names[0], name)
        run("docker", "image", "save", "--output", archive, *names, timeout=_BUILD_SECONDS)

    def remove(self, images: Sequence[str]) -> None:
        """See `Builder`."""
        for image in images:
            succeeds("docker", "image", "rm", image, timeout=60)

    def load(self, archive: Path, image: str) -> None:
        """See `Builder`."""
        run("docker", "image", "load", "--input", archive, timeout=_BUILD_SECONDS)

    def run(self, image: str, *words: str, entry: Sequence[str] | None = None) -> str:
        """See `Builder`."""
        limits = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--network", "none"]
        limits += ["--security-opt", "no-new-privileges"]
        if entry is not None:
            limits += ["--entrypoint", entry[0]]
            words = (*entry[1:], *words)
        return run("docker", "run", "--rm", *limits, image, *words)

    def unpacked_size(self, image: str) -> int:
        """See `Builder`."""
        return int(run("docker", "image", "inspect", "--format", "{{.Size}}", image))


class Buildah(Builder):
    """No daemon; everything it keeps is below `folder`, away from the user's own images."""

    name = "buildah"

    def __init__(self, folder: Path) -> None:
        self._driver = "overlay" if _has_overlay() else "vfs"
        self._folder = folder / self._driver
        self._scratch = folder / "tmp"
        if _stored(self._folder) > _MOST_STORED:
            # Layers that nothing names any more cannot be told from the cache of the next
            # build, so all of it goes; what has to be kept is in archives.
            shutil.rmtree(self._folder)

    def has(self, image: str) -> bool:
        """See `Builder`."""
        try:
            self._run("inspect", "--type", "image", "--format", "{{.FromImageID}}", image)
        except ClusterError:
            return False
        return True

    def build(self, recipe: Recipe, log: Path) -> None:
        """See `Builder`."""
        words: list[str | Path] = ["build", "--isolation", "chroot", "--layers"]
        words += [] if recipe.pull else ["--pull-never"]
        with secrets(recipe.pip) as flags:
            words += [*flags, *_arguments(recipe), "--tag", recipe.name, "--file", recipe.file]
            run_logged(
                log,
                *self._words(*words, recipe.context),
                environment=self._environment(),
                timeout=_BUILD_SECONDS,
            )

    def save(self, names: Sequence[str], archive: Path) -> None:
        """See `Builder`. Layers are compressed by zstd: quicker both ways than gzip."""
        with tempfile.TemporaryDirectory(dir=archive.parent, prefix="oci-") as space:
            layout = Path(space) / "layout"
            self._run(
                "push", "--quiet", "--compression-format", "zstd", names[0], f"oci:{layout}:image"
            )
            write_archive(layout, names, archive)

    def remove(self, images: Sequence[str]) -> None:
        """See `Builder`."""
        for image in images:
            with suppress(ClusterError):
                self._run("rmi", image)

    def unpacked_size(self, image: str) -> int:
        """See `Builder`. Buildah tells it in rounded decimal units only."""
        number, unit = self._run("images", "--format", "{{.Size}}", image).splitlines()[0].split()
        return round(float(number) * _UNITS[unit])

    def load(self, archive: Path, image: str) -> None:
        """See `Builder`."""
        self._run("pull", "--quiet", f"oci-archive:{archive}:{image}")

    def run(self, image: str, *words: str, entry: Sequence[str] | None = None) -> str:
        """See `Builder`. No container runtime is needed: namespaces and chroot do the same."""
        inspected = json.loads(self._run("inspect", "--type", "image", image))
        config = inspected["OCIv1"]["config"]
        command = ["env", "-i", *config["Env"], *(entry or config["Entrypoint"]), *words]
        buildah = " ".join(shlex.quote(str(word)) for word in self._words(own_mounts=False))
        script = RESTRICTED.format(buildah=buildah, image=image, user=config["User"])
        isolated = ("unshare", "--mount", "--pid", "--fork", "--net", "--kill-child")
        return run(*isolated, "sh", "-c", script, "sh", *command, environment=self._environment())

    def _run(self, *words: str | Path) -> str:
        command = self._words(*words)
        return run(*command, environment=self._environment(), timeout=_BUILD_SECONDS)

    def _words(self, *words: str | Path, own_mounts: bool = True) -> list[str | Path]:
        # The storage library mounts its folder over itself and leaves it so; in a mount
        # namespace of its own, nothing stays behind.
        alone: list[str | Path] = ["unshare", "--mount"] if own_mounts else []
        folder = self._folder
        store: list[str | Path] = ["--root", folder / "root", "--runroot", folder / "run"]
        return [*alone, "buildah", *store, "--storage-driver", self._driver, *words]

    def _environment(self) -> dict[str, str]:
        # Cache mounts and half-written layers are kept there.
        self._scratch.mkdir(parents=True, exist_ok=True)
        return {"TMPDIR": str(self._scratch)}


def choose_builder(folder: Path) -> Builder:
    """Docker if a daemon answers, else buildah with its store below `folder`.

    Raises:
        ClusterError: neither is there, or buildah cannot be used by this user.
    """
    if docker_answers():
        return Docker()
    if not shutil.which("buildah"):
        raise ClusterError(
            "images are built by docker or buildah, and neither is usable here:"
            " start docker, or on Debian and Ubuntu apt-get install buildah"
        )
    if os.geteuid() != 0:
        raise ClusterError("root is needed to build images with buildah: use sudo, or docker")
    return Buildah(folder)


@contextmanager
def secrets(pip: PipSettings | None) -> Iterator[list[str]]:
    """The flags that hand pip's settings to a build, whose files last as long as the block."""
    if pip is None:
        yield []
        return
    with tempfile.TemporaryDirectory() as space:
        configuration = Path(space) / "pip.conf"
        configuration.write_text(pip.configuration, encoding="utf-8")
        flags = ["--secret", f"id=pip.conf,src={configuration}"]
        if pip.certificates is not None:
            flags += ["--secret", f"id=ca.pem,src={pip.certificates}"]
        yield flags


def _arguments(recipe: Recipe) -> list[str]:
    pairs = sorted(recipe.arguments.items())
    return [word for key, value in pairs for word in ("--build-arg", f"{key}={value}")]


def _stored(folder: Path) -> int:
    """Bytes of all layers in a store."""
    found = 0
    for record in folder.glob("root/*-layers/layers.json"):
        layers = json.loads(record.read_text(encoding="utf-8") or "[]")
        found += sum(layer.get("diff-size", 0) for layer in layers)
    return found


def _has_overlay() -> bool:
    return "overlay" in Path("/proc/filesystems").read_text(encoding="ascii").split()
