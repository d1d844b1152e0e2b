"""Starting the engine, the first time before anything slow happens. Light to import."""

import os
import signal
from collections.abc import Mapping

from modelrunner_protocol.wire import RunConfig
from runnerd.config import Settings
from runnerd.engines.cgroup import Cgroup, cpus
from runnerd.engines.child import Child
from runnerd.engines.command import find_llama_server, llama_server_command
from runnerd.engines.environment import engine_environment


class Launcher:
    """Starts the same command again and again.

    `first` is what `begin` started, or why it could not.
    """

    def __init__(
        self,
        config: RunConfig,
        settings: Settings,
        *,
        name: str = "engine",
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Work out the command.

        `name` tells its socket from those of this process's other engines; they inherit from
        `environment`.

        Raises:
            ConfigError: there is no such program, or LLAMA_ARGS cannot be used.
        """
        self.cgroup = Cgroup()
        self._environment = engine_environment(environment)
        count, limited = cpus(self.cgroup)
        self.socket = os.path.join(settings.socket_folder, f"{name}-{os.getpid()}.sock")  # noqa: PTH118  # pathlib is slow to import
        self.command = llama_server_command(
            config,
            program=find_llama_server(settings.llama_server),
            socket=self.socket,
            base=settings.llama_args,
            machine=os.uname().machine,
            cpus=count,
            limited=limited,
            environment=self._environment,
            gpu_layers=settings.gpu_layers,
        )
        self.first: Child | OSError | None = None

    def begin(self) -> None:
        """Start the engine before there is anybody to supervise it."""
        try:
            self.first = self.start()
        except OSError as error:
            self.first = error

    def start(self) -> Child:
        """Start the engine; whatever listened on its socket before is gone.

        Raises:
            OSError: the program cannot be executed.
        """
        self.remove_socket()
        return Child(self.command, self._environment)

    def abandon(self) -> None:
        """Leave nothing behind when the runner gives up before it supervises."""
        if isinstance(self.first, Child):
            self.first.send(signal.SIGKILL)
        self.remove_socket()

    def remove_socket(self) -> None:
        """The file of the engine's socket; the engine does not remove it."""
        try:
            os.unlink(self.socket)  # noqa: PTH108  # pathlib is slow to import
        except FileNotFoundError:
            return
