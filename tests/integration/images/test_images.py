"""Both images as they are built: small in rights, whole without a network, nothing left behind."""

import json
from typing import Any

import pytest
import yaml

from tests.cluster.errors import ClusterError
from tests.cluster.settings import ROOT, cache_folder
from tests.images.archives import manifest_and_config
from tests.images.build import Images, ensure_images
from tests.images.builders import Builder, choose_builder
from tests.images.pip_settings import host_settings

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def images() -> Images:
    """Both images, built if the tree has changed."""
    return ensure_images()


@pytest.fixture(scope="module")
def builder() -> Builder:
    """The builder that made them."""
    return choose_builder(cache_folder() / "buildah")


@pytest.fixture(params=[0, 1], ids=["operator", "runner"])
def image(request: pytest.FixtureRequest, images: Images, builder: Builder) -> str:
    """Each of the two, in the builder's store."""
    name = (images.operator, images.runner)[request.param]
    if not builder.has(name):
        builder.load(images.archives[request.param], name)
    return name


@pytest.fixture
def config(image: str, images: Images) -> dict[str, Any]:
    """Its configuration, as a node reads it."""
    archive = images.archives[(images.operator, images.runner).index(image)]
    return manifest_and_config(archive)[1]


def python(builder: Builder, image: str, script: str) -> str:
    """What a script prints under the interpreter of the image's own environment."""
    home = "/opt/modelrunner" if "model-runner-operator:" in image else "/opt/runnerd"
    return builder.run(image, entry=(f"{home}/bin/python", "-c", script))


def test_it_starts_as_a_restricted_pod_starts_it(image: str, builder: Builder) -> None:
    """Non-root, read-only root, no network: `--help` needs nothing else."""
    assert "usage:" in builder.run(image, "--help").lower()


def test_the_restrictions_are_real(image: str, builder: Builder) -> None:
    """The same way of running refuses a write to the root, so the test above proves something."""
    with pytest.raises(ClusterError, match="Read-only file system"):
        builder.run(image, entry=("touch", "/opt/x"))
    builder.run(image, entry=("touch", "/tmp/x"))
    assert builder.run(image, entry=("id", "-u")).strip() == "65532"


def test_its_configuration(config: dict[str, Any]) -> None:
    """A numeric user, which runAsNonRoot can judge, and nothing of the machine that built it."""
    inner = config["config"]
    assert inner["User"] == "65532:65532"
    assert inner["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert not {key for key in map(name_of, inner["Env"]) if key.startswith(("PIP_", "SSL_"))}
    told = json.dumps(config)
    settings = host_settings()
    assert "://" not in told.replace("https://www.gnu.org", "")
    assert settings.certificates is None or str(settings.certificates) not in told


def test_it_holds_no_tools_and_no_leftovers(image: str, builder: Builder) -> None:
    """No pip, no compiler, no sources, no secrets, no name or resolver of the building machine."""
    script = """
import importlib.util, os, shutil
print([name for name in ("pip", "setuptools", "hatchling") if importlib.util.find_spec(name)])
print([name for name in ("pip", "pip3", "gcc", "cc", "git") if shutil.which(name)])
print([path for path in ("/src", "/packages", "/run/secrets") if os.path.exists(path)])
print([path for path in ("/etc/hostname", "/etc/resolv.conf") if os.path.exists(path) and
       os.path.getsize(path)])
"""
    assert python(builder, image, script).split() == ["[]"] * 4


def test_bytecode_is_there_and_does_not_depend_on_times(image: str, builder: Builder) -> None:
    """A read-only root cannot keep what it compiles, and builders rewrite times of files."""
    script = """
import importlib.util, pathlib, sysconfig
seen = 0
for file in pathlib.Path(sysconfig.get_path("purelib")).rglob("*.py"):
    path = file.as_posix()
    if "/client/api/" in path or "/client/models/" in path:
        continue
    compiled = pathlib.Path(importlib.util.cache_from_source(path))
    if not compiled.is_file() or compiled.read_bytes()[4:8] != bytes([1, 0, 0, 0]):
        print(path)
    seen += 1
print(seen)
"""
    (seen,) = python(builder, image, script).split()
    assert int(seen) > 100


def test_the_runner_holds_an_engine_that_starts(images: Images, builder: Builder) -> None:
    """llama-server is where runnerd looks for it, with all its libraries."""
    assert "usage" in builder.run(images.runner, entry=("/app/llama-server", "--help")).lower()


def test_the_runner_serves_alone(images: Images, builder: Builder) -> None:
    """As any user, with a read-only root; the check of compose.yaml finds it, SIGTERM ends it."""
    check = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]["model-runner"]
    script = f"""
import os, signal, subprocess, sys, time
print(os.stat("/models").st_uid, oct(os.stat("/models").st_mode & 0o777))
os.environ["MODELS_PATH"] = "/tmp/models"
server = subprocess.Popen(["/opt/runnerd/bin/runnerd", "serve"], stdout=subprocess.DEVNULL)
check = {check["healthcheck"]["test"][1:]!r}
deadline = time.monotonic() + 240
while subprocess.run(check, stderr=subprocess.DEVNULL).returncode:
    assert server.poll() is None and time.monotonic() < deadline
server.send_signal(signal.SIGTERM)
print(server.wait(120))
"""
    assert python(builder, images.runner, script).split() == ["65532", "0o775", "0"]


def test_archives_are_sized(images: Images) -> None:
    """The sizes that are told are those of the files."""
    for name, archive in zip((images.operator, images.runner), images.archives, strict=True):
        assert images.sizes[name].archive == archive.stat().st_size
        assert images.sizes[name].unpacked > images.sizes[name].archive


def test_an_unchanged_tree_builds_nothing(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call neither looks for a builder nor asks pip."""
    monkeypatch.setattr("tests.images.build.choose_builder", None)
    monkeypatch.setattr("tests.images.build.host_settings", None)
    assert ensure_images() == images


def name_of(variable: str) -> str:
    """The name in `NAME=value`."""
    return variable.partition("=")[0]
