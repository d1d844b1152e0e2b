"""The key that names a build, and the versions read out of go.mod."""

import re
import shutil
from pathlib import Path

import pytest

from tests.cluster import go_programs
from tests.cluster.settings import HERE


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the Go modules that a test may change."""
    for module in ("kubernetes", "containerd"):
        shutil.copytree(HERE / module, tmp_path / module)
    return tmp_path


def test_equal_inputs_give_an_equal_key(sources: Path) -> None:
    """The key does not depend on where the checkout lies, so a second clone reuses the build."""
    here = go_programs.build_key("go1.26.8", "amd64")
    assert go_programs.build_key("go1.26.8", "amd64", sources) == here
    assert re.fullmatch(r"[0-9a-f]{16}", here)


@pytest.mark.parametrize(
    "file",
    ["kubernetes/main.go", "kubernetes/coredns/main.go", "kubernetes/go.mod", "containerd/go.sum"],
)
def test_every_source_is_part_of_the_key(sources: Path, file: str) -> None:
    """One byte more in any input is another build."""
    before = go_programs.build_key("go1.26.8", "amd64", sources)
    with (sources / file).open("a") as handle:
        handle.write("\n")
    assert go_programs.build_key("go1.26.8", "amd64", sources) != before


def test_a_new_source_file_changes_the_key(sources: Path) -> None:
    """A file that is added counts, not only those that were there."""
    before = go_programs.build_key("go1.26.8", "amd64", sources)
    (sources / "kubernetes/more.go").write_text("package main\n")
    assert go_programs.build_key("go1.26.8", "amd64", sources) != before


def test_compiler_architecture_and_flags_are_part_of_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another Go, machine or flag is another build."""
    keys = {
        go_programs.build_key("go1.26.8", "amd64"),
        go_programs.build_key("go1.26.9", "amd64"),
        go_programs.build_key("go1.26.8", "arm64"),
    }
    monkeypatch.setattr(go_programs, "_FLAGS", ("-trimpath",))
    keys.add(go_programs.build_key("go1.26.8", "amd64"))
    assert len(keys) == 4


def test_every_program_is_built_with_trimpath() -> None:
    """One build without it would compile all of Kubernetes a second time."""
    assert all("-trimpath" in program.flags() for program in go_programs.PROGRAMS)


def test_staging_modules_follow_the_kubernetes_version() -> None:
    """A version raised in one line only would mix two releases in one cluster."""
    text = (go_programs.KUBERNETES / "go.mod").read_text()
    staging = set(re.findall(r"^\tk8s\.io/\S+ => k8s\.io/\S+ (v\S+)$", text, re.MULTILINE))
    assert staging == {"v0" + go_programs.kubernetes_version().removeprefix("v1")}


def test_required_go_is_the_newest_that_any_module_asks_for() -> None:
    """The prerequisite check and the compiler agree."""
    assert go_programs.required_go() >= (1, 26, 0)
    for module in (go_programs.KUBERNETES, go_programs.CONTAINERD):
        found = re.search(r"^go (\S+)$", (module / "go.mod").read_text(), re.MULTILINE)
        assert found
        assert go_programs.required_go() >= tuple(int(part) for part in found[1].split("."))


def test_the_readme_tells_the_versions_that_are_built() -> None:
    """A raised version is raised in the page that tells it, too."""
    readme = (HERE / "README.md").read_text()
    for module, path, name in (
        ("kubernetes", "k8s.io/kubernetes", "Kubernetes"),
        ("kubernetes", "go.etcd.io/etcd/server/v3", "etcd"),
        ("kubernetes", "github.com/coredns/coredns", "CoreDNS"),
        ("kubernetes", "helm.sh/helm/v4", "Helm"),
        ("kubernetes", "sigs.k8s.io/kind", "kind"),
        ("containerd", "github.com/containerd/containerd/v2", "containerd"),
    ):
        text = (HERE / module / "go.mod").read_text()
        found = re.search(rf"^\t{re.escape(path)} v(\S+)", text, re.MULTILINE)
        assert found
        assert f"{name} {found[1]}" in readme
