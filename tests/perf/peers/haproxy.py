"""HAProxy that routes by the `model` of the body, with its own json_query."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

from tests.cluster.progress import Progress
from tests.perf.load.requests import MODEL
from tests.perf.peers.side import Proxy, Scene, Side, free_port, started
from tests.support.distribution import Unpacked, unpacked

# The body has to fit the buffer to be looked at.
_CONFIGURATION: Final = """\
global
  nbthread 1
  maxconn 4096
  tune.bufsize 131072
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  option http-buffer-request
frontend door
  bind 127.0.0.1:{port}
  http-request set-var(req.model) req.body,json_query('$.model')
  use_backend runner if {{ var(req.model) -m str {model} }}
backend runner
  http-reuse always
  server one {host}:{backend_port}
"""


class HaProxy(Side):
    """Debian's package, one thread."""

    name: ClassVar[str] = "haproxy"
    _found: Unpacked

    def install(self, progress: Progress) -> None:
        """Unpack it."""
        self._found = unpacked("haproxy", "haproxy", progress)

    @contextmanager
    def run(self, scene: Scene) -> Iterator[Proxy]:
        """In the foreground."""
        port, (host, backend_port) = free_port(), scene.backend
        file = scene.folder / "haproxy.cfg"
        text = _CONFIGURATION.format(model=MODEL, port=port, host=host, backend_port=backend_port)
        file.write_text(text, encoding="utf-8")
        command = (self._found.program, "-db", "-f", file)
        version = self._found.version.partition("-")[0]
        with started(scene, self.name, version, port, command, self._found.environment) as proxy:
            yield proxy
