"""nginx, which does not look at the body: the floor of what a proxy costs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

from tests.cluster.progress import Progress
from tests.perf.peers.side import Proxy, Scene, Side, free_port, started
from tests.support.distribution import Unpacked, unpacked

# Bodies of 64 KB stay in memory on their way in; answers are passed on as they come, as server-sent
# events need it. Connections to the backend are kept, and there may be as many as there are clients.
_CONFIGURATION: Final = """\
daemon off;
worker_processes 1;
error_log stderr crit;
pid {folder}/nginx.pid;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_body_buffer_size 256k;
  client_max_body_size 64m;
  keepalive_requests 1000000000;
  upstream backend {{
    server {host}:{backend_port};
    keepalive 2048;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_buffer_size 64k;
      proxy_buffers 8 64k;
      proxy_busy_buffers_size 128k;
      proxy_read_timeout 3600s;
    }}
  }}
}}
"""


class Nginx(Side):
    """Debian's package, one worker."""

    name: ClassVar[str] = "nginx"
    _found: Unpacked

    def install(self, progress: Progress) -> None:
        """Unpack it."""
        self._found = unpacked("nginx", "nginx", progress)

    @contextmanager
    def run(self, scene: Scene) -> Iterator[Proxy]:
        """With a folder of its own for everything it writes."""
        folder = scene.folder / "nginx"
        folder.mkdir()
        port, (host, backend_port) = free_port(), scene.backend
        text = _CONFIGURATION.format(folder=folder, port=port, host=host, backend_port=backend_port)
        file = folder / "nginx.conf"
        file.write_text(text, encoding="utf-8")
        command = (self._found.program, "-p", folder, "-c", file)
        version = self._found.version.partition("-")[0]
        with started(scene, self.name, version, port, command, self._found.environment) as proxy:
            yield proxy
