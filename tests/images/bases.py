"""Base images for tests, made from the machine's own packages instead of a registry."""

import dataclasses
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from tests.cluster.commands import run
from tests.cluster.packages import found
from tests.cluster.progress import Progress
from tests.images.apt import AptSource, host_source
from tests.images.inputs import digest_of_texts
from tests.images.logs import last_line, run_logged

# What the published images have that the images rely on: Python, certificates, and OpenMP,
# which llama-server is linked with.
_PACKAGES: Final = ("python3", "ca-certificates", "libgomp1")
_BUILD_PACKAGES: Final = ("python3-venv",)
# Brought in by _BUILD_PACKAGES, and part of no published image.
_ONLY_FOR_BUILDS: Final = (
    "python3-venv",
    "python3.*-venv",
    "python3-pip-whl",
    "python3-setuptools-whl",
    "python3-distutils",
    "python3-lib2to3",
)
# Weight that no program reads, and what debootstrap copies from this machine.
_LEFT_OUT: Final = (
    "etc/hostname",
    "etc/resolv.conf",
    "var/log/bootstrap.log",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
    "etc/apt/sources.list",
    "etc/apt/sources.list.d",
)
# A base is kept until its recipe changes; a higher number says that it did.
_RECIPE: Final = "1"


@dataclasses.dataclass(frozen=True)
class Bases:
    """Root file systems as tar files: `run` to ship, `build` the same with pip and venv."""

    run: Path
    build: Path
    key: str


def can_make_bases() -> bool:
    """Whether this is a Debian or Ubuntu machine with debootstrap, and we are root."""
    return os.geteuid() == 0 and found("debootstrap") and found("apt-get")


def bases_key() -> str:
    """What `ensure_bases` would call its images; makes nothing."""
    return _key(host_source())


def ensure_bases(folder: Path, progress: Progress) -> Bases:
    """The two base images below `folder`, made (about a minute) when they are not there.

    The caller holds the lock of `folder`.

    Raises:
        ClusterError: debootstrap is missing, or the packages cannot be fetched.
    """
    source = host_source()
    key = _key(source)
    bases = Bases(folder / f"base-{key}.tar", folder / f"base-build-{key}.tar", key)
    if bases.run.is_file() and bases.build.is_file():
        return bases
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="rootfs-") as space:
        root = Path(space) / "root"
        _bootstrap(root, source, progress)
        with progress.during("packing the base images"):
            _trim(root)
            _pack(root, bases.build)
            _purge_build_packages(root)
            _pack(root, bases.run)
    return bases


def _key(source: AptSource) -> str:
    return digest_of_texts(_RECIPE, str(dataclasses.replace(source, proxy="")), *_PACKAGES)[:12]


def _bootstrap(root: Path, source: AptSource, progress: Progress) -> None:
    log = root.parent / "debootstrap.log"
    what = f"making a base image of {source.release} packages (about a minute, once)"
    proxy = {"http_proxy": source.proxy} if source.proxy else {}
    with progress.during(what, lambda: last_line(log)):
        run_logged(
            log,
            "debootstrap",
            "--variant=minbase",
            f"--components={','.join(source.components)}",
            f"--include={','.join((*_PACKAGES, *_BUILD_PACKAGES))}",
            source.release,
            root,
            source.address,
            environment={**proxy, "PATH": _search_path()},
            timeout=900,
        )


def _trim(root: Path) -> None:
    for path in _LEFT_OUT:
        target = root / path
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
    for folder in ("var/cache/apt/archives/partial", "var/lib/apt/lists/partial"):
        (root / folder).mkdir(parents=True)


def _purge_build_packages(root: Path) -> None:
    listed = run("dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${Package}\n")
    extra = [
        name
        for name in listed.split()
        if any(Path(name).match(pattern) for pattern in _ONLY_FOR_BUILDS)
    ]
    run("chroot", root, "dpkg", "--purge", *extra, environment={"PATH": _search_path()})


def _pack(root: Path, target: Path) -> None:
    partial = target.with_suffix(".partial")
    run("tar", "-C", root, "--numeric-owner", "--sort=name", "-cf", partial, ".", timeout=300)
    partial.replace(target)


def _search_path() -> str:
    # debootstrap and chroot are in sbin, which is not on every user's PATH.
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
