"""All pages of this package, put together."""

from runnerd.standalone.catalogue.catalogue import Catalogue
from runnerd.standalone.management.archives import Archives
from runnerd.standalone.management.engines import Engines
from runnerd.standalone.management.logs import Logs, LogTail
from runnerd.standalone.management.models import Models
from runnerd.standalone.management.needs import Pool, Puller, Pusher
from runnerd.standalone.management.ollama import OllamaModels
from runnerd.standalone.management.recorder import Recorder
from runnerd.standalone.management.requests import Requests
from runnerd.standalone.management.transfers import Transfers


class Management:
    """The routes by which models are managed.

    Args:
        catalogue: The models.
        pulls: Brings them here.
        pushes: Brings them away.
        pool: The engines.
        recorder: What models were asked; the inference routes fill it.
        tail: The newest log lines, None when they are not kept.
        program: The engine's program, "" when it is not known.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        pulls: Puller,
        pushes: Pusher,
        pool: Pool,
        recorder: Recorder,
        tail: LogTail | None = None,
        program: str = "",
    ) -> None:
        models = Models(catalogue, pool, recorder)
        self._engines = Engines(catalogue, pool, program=program)
        self.pages = (
            *Transfers(pulls, pushes).pages(),
            *Archives(catalogue).pages(),
            *models.pages(),
            *self._engines.pages(),
            *Requests(recorder, catalogue, pool).pages(),
            *Logs(tail).pages(),
            *OllamaModels(models, pulls, pushes).pages(),
        )

    async def close(self) -> None:
        """End what goes on in the background."""
        await self._engines.close()
