"""What is compiled: programs, flags, and the key that names one set of them."""

import dataclasses
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from tests.cluster.commands import run
from tests.cluster.errors import ClusterError
from tests.cluster.settings import HERE

KUBERNETES = HERE / "kubernetes"
CONTAINERD = HERE / "containerd"
_SMALL = "-s -w"
# Never without -trimpath, not even by hand: it is part of every key of Go's build cache, and one
# build without it compiles everything a second time.
_FLAGS = ("-trimpath", "-buildvcs=false")


@dataclasses.dataclass(frozen=True)
class Program:
    """One executable.

    Attributes:
        name: its file name.
        module: folder of the go.mod it is built in.
        package: what is built.
        tags: build tags; equal ones share their compiled packages.
        stamped: whether it tells the Kubernetes version as its own.
        packages: about how many packages a first build compiles for it, for the progress line.
        links: other names it is called by.
    """

    name: str
    module: Path
    package: str
    tags: str
    packages: int
    stamped: bool = False
    links: tuple[str, ...] = ()

    def flags(self) -> list[str]:
        """Arguments of `go build` before `-o`."""
        linker = _SMALL + (_version_flags() if self.stamped else "")
        return [*_FLAGS, "-tags", self.tags, "-ldflags", linker]


_KUBE_TAGS = "grpcnotrace"
_CONTAINERD_TAGS = "no_btrfs no_devmapper no_zfs"
_CONTAINERD_MODULE = "github.com/containerd/containerd/v2/cmd"
_KUBE_LINKS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
    "volumes",
)

# In this order, one at a time: what the first compiles most others share, and one link alone
# takes 3.3 GB of memory.
PROGRAMS = (
    Program("kube", KUBERNETES, ".", _KUBE_TAGS, 2890, stamped=True, links=_KUBE_LINKS),
    Program("coredns", KUBERNETES, "./coredns", _KUBE_TAGS, 100, stamped=True),
    Program("pause", KUBERNETES, "./pause", _KUBE_TAGS, 1),
    *(
        Program(name, CONTAINERD, f"{_CONTAINERD_MODULE}/{name}", _CONTAINERD_TAGS, packages)
        for name, packages in (("containerd", 700), ("containerd-shim-runc-v2", 50), ("ctr", 50))
    ),
    Program("helm", KUBERNETES, "helm.sh/helm/v4/cmd/helm", _KUBE_TAGS, 250),
    Program("kind", KUBERNETES, "sigs.k8s.io/kind", _KUBE_TAGS, 60),
)


def kubernetes_version() -> str:
    """The version of Kubernetes in go.mod, such as v1.37.1."""
    return _required(KUBERNETES, r"\bk8s\.io/kubernetes (v\S+)")


def required_go() -> tuple[int, ...]:
    """The oldest Go that can build everything, such as (1, 26, 6)."""
    texts = (_required(module, r"^go (\S+)") for module in (KUBERNETES, CONTAINERD))
    return max(tuple(int(part) for part in text.split(".")) for text in texts)


def go_environment() -> dict[str, str]:
    """Version (`GOVERSION`), architecture and caches of the Go that builds.

    Raises:
        ClusterError: there is no Go, or it refuses the module (too old).
    """
    names = ["GOVERSION", "GOARCH", "GOCACHE", "GOMODCACHE"]
    # In containerd's folder: its go.mod asks for the newest Go.
    values = run("go", "env", *names, folder=CONTAINERD, environment=BUILD_ENVIRONMENT)
    return dict(zip(names, values.splitlines(), strict=True))


# A user's flags or workspace would build something else than go.sum pins.
BUILD_ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}


def build_key(go_version: str, architecture: str, folder: Path = HERE) -> str:
    """A name for the outcome of a build: equal inputs give an equal key.

    Args:
        go_version: such as go1.26.8.
        architecture: such as amd64.
        folder: the folder that holds the Go modules.
    """
    digest = hashlib.sha256(f"{go_version} {architecture}\n".encode())
    for program in PROGRAMS:
        settings = [program.name, program.package, *program.flags(), *program.links]
        digest.update("\0".join(settings).encode() + b"\n")
    for file in sorted(_sources(folder)):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(folder)} {content}\n".encode())
    # The images are made by Python from these programs.
    digest.update((HERE / "images.py").read_bytes())
    return digest.hexdigest()[:16]


def _sources(folder: Path) -> Iterable[Path]:
    for module in (KUBERNETES.name, CONTAINERD.name):
        for pattern in ("**/*.go", "go.mod", "go.sum"):
            yield from (folder / module).glob(pattern)


def _version_flags() -> str:
    version = kubernetes_version()
    major, minor, _ = version.removeprefix("v").split(".")
    stamp = {
        "gitVersion": version,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return "".join(f" -X {p}.{key}={value}" for p in packages for key, value in stamp.items())


def _required(module: Path, pattern: str) -> str:
    file = module / "go.mod"
    found = re.search(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise ClusterError(f"{file} has no line like {pattern}")
    return found[1]
