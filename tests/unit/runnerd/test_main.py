"""The command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runnerd.__main__ import main

_LIBRARIES = ("huggingface_hub", "obstore", "httpx", "yaml", "jinja2", "pydantic", "tarfile")


@pytest.mark.parametrize(
    ("arguments", "status"), [(["--help"], 0), (["--version"], 0), ([], 2), (["sing"], 2)]
)
def test_words(arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Help and version succeed; a wrong word shows the usage on stderr and fails."""
    assert main(arguments) == status
    out, err = capsys.readouterr()
    assert (out if status == 0 else err).strip()


def test_light_imports() -> None:
    """Until the engine is started, nothing slow is imported."""
    found = imported("runnerd.server.run")
    assert not {"aiohttp", "asyncio", "prometheus_client", "logging"} & found


def test_a_server_starts_with_what_it_needs() -> None:
    """The Hub's library, and what reads packages' versions, come when somebody wants them."""
    found = imported("runnerd.standalone.main")
    assert "aiohttp" in found
    assert not {"huggingface_hub", "httpx", "importlib.metadata"} & found


@pytest.mark.parametrize("module", ["cli", "pull_cli", "import_cli", "verify_cli", "prune_cli"])
def test_a_cache_answers_without_a_client(module: str) -> None:
    """Until a source has to be asked, no command imports what sources are asked with."""
    found = imported(f"runnerd.weights.{module}")
    assert not {"aiohttp", "prometheus_client", *_LIBRARIES, "importlib.metadata"} & found


def test_a_pull_imports_its_own_source_alone(tmp_path: Path) -> None:
    """By hand nobody asks for metrics, and a web server is asked without the others' libraries."""
    words = ["pull", "http://127.0.0.1:1/x.gguf", "--root", str(tmp_path)]
    found = after(
        f"from runnerd.__main__ import main; main({words!r})", RUNNERD_RESOLVE_TIMEOUT="1ms"
    )
    assert "runnerd.weights.http" in found
    assert not {"aiohttp.web", "prometheus_client", *_LIBRARIES} & found
    assert not {"runnerd.weights.oci", "runnerd.weights.claim", "runnerd.weights.server"} & found


def test_a_bucket_is_read_by_its_own_library_alone() -> None:
    """That brings a client of its own: ours takes longer to import than all else."""
    modules = ("buckets.doors", "buckets.weights", "limited")
    found = after("; ".join(f"import runnerd.weights.{one}" for one in modules))
    assert "obstore" in found
    assert not {"aiohttp", "prometheus_client", "huggingface_hub", "httpx"} & found


def test_a_netrc_is_set_aside_where_a_command_begins() -> None:
    """By all that people call and that ask servers which a source names."""
    code = """if True:
        import contextlib, io, os
        from runnerd.__main__ import main
        for command in ("serve", "pull", "package"):
            os.environ["NETRC"] = "mine"
            with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
                main([command, "--help"])
            print(os.environ["NETRC"])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [os.devnull] * 3


def imported(module: str) -> set[str]:
    """All modules that are there when this one was imported."""
    return after(f"import {module}")


def after(code: str, **environment: str) -> set[str]:
    """All modules that are there when a program has run."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return set(done.stdout.split())
