"""What the process makes of its settings; its life is tested as a process (integration)."""

import asyncio
import resource
import sys

import pytest

from modelrunner.gateway import process
from modelrunner.gateway.http.settings import FrontSettings
from modelrunner.gateway.settings import GatewaySettings

OF_THE_FRONT = {
    "max_header_bytes": "header_limit",
    "max_body_bytes": "body_limit",
    "max_buffered_bytes": "total_body_limit",
    "max_connections": "max_connections",
    "header_timeout": "header_timeout",
    "body_timeout": "body_timeout",
    "idle_timeout": "idle_timeout",
    "connect_timeout": "connect_timeout",
    "first_byte_timeout": "first_byte_timeout",
    "stall_timeout": "stall_timeout",
    "upstream_idle_timeout": "upstream_idle_timeout",
}


def test_each_limit_of_the_front_is_a_setting() -> None:
    """None is swapped with another, none is forgotten."""
    aliases = {name: str(GatewaySettings.model_fields[name].alias) for name in OF_THE_FRONT}
    given = {alias: str(40_000_000 + n) for n, alias in enumerate(aliases.values())}
    # Each in its own bounds, each different.
    given |= {alias: str(5 + n) for n, alias in enumerate(given) if alias.endswith("TIMEOUT")}
    given[aliases["max_header_bytes"]] = "5000"
    given[aliases["max_connections"]] = "77"
    settings = GatewaySettings.from_environment({"POD_NAMESPACE": "ml", **given})
    front = process._front_settings(settings)
    for name, limit in OF_THE_FRONT.items():
        assert getattr(front, limit) == float(given[aliases[name]])
        assert getattr(front, limit) != getattr(FrontSettings(), limit)


def test_files_are_asked_for_as_far_as_they_are_allowed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two for each connection; what is missing is told, not met at the thousandth client."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    process._allow_files(1000)
    assert (asked, caplog.text) == ([(2256, 4096)], "")
    process._allow_files(10_000)
    assert asked[1:] == [(4096, 4096)]
    assert "4096 are allowed" in caplog.text
    process._allow_files(100)
    assert len(asked) == 2


def test_the_loop_is_uvloops_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """And asyncio's own where it is not."""
    factory = process._loop_factory()
    assert factory is not None
    loop = factory()
    assert process._loop_name(loop) == "uvloop"
    loop.close()
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert process._loop_factory() is None
    plain = asyncio.new_event_loop()
    assert process._loop_name(plain) == "asyncio"
    plain.close()
