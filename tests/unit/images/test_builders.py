"""`tests.images.builders`: which builder, how it is called, what stays nowhere."""

import json
import os
from pathlib import Path

import pytest

from tests.cluster.errors import ClusterError
from tests.images.builders import Buildah, Docker, Recipe, choose_builder, secrets
from tests.images.pip_settings import PipSettings


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH but for the shell's own programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "tail", "unshare", "env", "cat"):
        (folder / name).symlink_to(Path("/usr/bin") / name)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def fake(folder: Path, name: str, script: str) -> None:
    """A program that writes down its words, one line a call, and then runs `script`."""
    file = folder / name
    file.write_text(f'#!/bin/sh\necho "$@" >> {folder}/{name}.calls\n{script}\n')
    file.chmod(0o755)


def calls(folder: Path, name: str) -> list[str]:
    """What a fake was called with."""
    return (folder / f"{name}.calls").read_text().splitlines()


def test_docker_only_when_a_daemon_answers(programs: Path, tmp_path: Path) -> None:
    """A client without a daemon is no builder."""
    fake(programs, "docker", "echo 28")
    assert isinstance(choose_builder(tmp_path), Docker)
    fake(programs, "docker", "exit 1")
    fake(programs, "buildah", "")
    if os.geteuid() == 0:
        assert isinstance(choose_builder(tmp_path), Buildah)
    else:
        with pytest.raises(ClusterError, match="root is needed"):
            choose_builder(tmp_path)


def test_no_builder_says_what_to_install(programs: Path, tmp_path: Path) -> None:
    """The message names both ways out."""
    with pytest.raises(ClusterError, match=r"start docker.*apt-get install buildah"):
        choose_builder(tmp_path)


def test_docker_gets_arguments_secrets_and_proxies(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Build arguments by value, pip's settings as files, proxies by name only."""
    monkeypatch.setenv("HTTPS_PROXY", "http://user:password@proxy.example")
    certificates = tmp_path / "ca.pem"
    certificates.touch()
    recipe = Recipe(
        "localhost/x:1",
        tmp_path,
        tmp_path / "Dockerfile",
        arguments={"BASE_IMAGE": "base:1"},
        pip=PipSettings("[global]\n", certificates, ()),
    )
    fake(programs, "docker", "")
    Docker().build(recipe, tmp_path / "log")
    (call,) = calls(programs, "docker")
    assert "--build-arg BASE_IMAGE=base:1" in call
    assert "--build-arg https_proxy --build-arg HTTPS_PROXY" in call
    assert "password" not in call
    assert "--secret id=pip.conf,src=" in call
    assert f"--secret id=ca.pem,src={certificates}" in call
    assert call.endswith(f"--tag localhost/x:1 --file {tmp_path}/Dockerfile {tmp_path}")


def test_a_failed_build_shows_the_end_of_its_log(programs: Path, tmp_path: Path) -> None:
    """The last lines of the builder are in the error."""
    fake(programs, "docker", "echo 'STEP 3'; echo 'no such package'; exit 3")
    recipe = Recipe("x", tmp_path, tmp_path / "Dockerfile")
    with pytest.raises(ClusterError, match="no such package"):
        Docker().build(recipe, tmp_path / "log")
    assert "STEP 3" in (tmp_path / "log").read_text()


def test_docker_saves_under_every_name(programs: Path, tmp_path: Path) -> None:
    """The archive is imported under the key's tag and as dev."""
    fake(programs, "docker", "")
    Docker().save(("x:1", "x:dev"), tmp_path / "x.tar")
    assert calls(programs, "docker") == [
        "image tag x:1 x:dev",
        f"image save --output {tmp_path}/x.tar x:1 x:dev",
    ]


def test_buildah_keeps_to_its_folder(programs: Path, tmp_path: Path) -> None:
    """Its store is ours; the user's images are neither seen nor changed, nor is a registry."""
    fake(programs, "buildah", "")
    Buildah(tmp_path / "store").remove(["x:1"])
    (call,) = calls(programs, "buildah")
    store = tmp_path / "store"
    assert call.startswith(f"--root {store}/")
    assert f"--runroot {store}/" in call
    assert call.endswith("rmi x:1")


def test_a_store_that_grew_is_started_afresh(tmp_path: Path) -> None:
    """Layers that nobody needs any more do not fill the disk."""
    for driver in ("overlay", "vfs"):
        record = tmp_path / driver / "root" / f"{driver}-layers" / "layers.json"
        record.parent.mkdir(parents=True)
        record.write_text(json.dumps([{"diff-size": 3 * 10**9}, {"diff-size": 2 * 10**9}]))
    Buildah(tmp_path)
    assert len(list(tmp_path.glob("*/root"))) == 1


def test_secrets_last_as_long_as_the_build() -> None:
    """Afterwards no file with addresses or passwords is left."""
    with secrets(PipSettings("[global]\nindex-url = https://u:p@x.example\n", None, ())) as flags:
        file = Path(flags[1].partition("src=")[2])
        assert "u:p@" in file.read_text()
    assert not file.exists()
    with secrets(None) as none:
        assert none == []
