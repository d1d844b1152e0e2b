"""The one model of a runner, as Ollama's lists tell of it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from modelrunner_protocol.ollama import Described, capabilities_of, tagged
from modelrunner_protocol.wire import FileKind, WeightsFile
from runnerd.server.served import Served
from runnerd.server.shelf import expiry
from runnerd.weights.formats import artifact_of, shard_names
from runnerd.weights.gguf import GgufError, read


class OneModel:
    """A `shelf.Stock` of one."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._weights: Described | None = None

    async def all(self) -> Sequence[Described]:
        """It under its name and its aliases."""
        config = self._served.config
        names = dict.fromkeys(tagged(name) for name in (config.model, *config.aliases))
        return [await self._described(name) for name in names]

    async def loaded(self) -> Sequence[tuple[Described, str]]:
        """It, when it is ready. Of keep_alive only what a request brought is known here."""
        served = self._served
        if not served.engine.ready:
            return []
        found = await self._described(tagged(served.config.model))
        return [(found, expiry(served.gate.last_used_at, served.keep_alive))]

    async def find(self, name: str) -> Described | None:
        """It, if it goes by that name."""
        return await self._described(tagged(name)) if self._served.checks.knows(name) else None

    async def _described(self, name: str) -> Described:
        config, properties = self._served.config, self._served.engine.properties
        if self._weights is None:
            self._weights = await asyncio.to_thread(_weights, config.weights, config.projector)
        weights = self._weights
        return Described(
            identity=f"{config.namespace}/{config.model}",
            name=name,
            format=weights.format,
            architecture=weights.architecture,
            parameters=weights.parameters,
            quantization=weights.quantization,
            size=weights.size,
            modified=weights.modified,
            context=properties.context or config.context_size or weights.context,
            memory=weights.memory,
            capabilities=capabilities_of(config.mode.value, properties.capabilities),
            template=properties.template,
        )


def _weights(path: str, projector: str) -> Described:
    """What the file tells; a file that cannot be read tells nothing, and the engine says why."""
    whole = Path(path)
    files = [whole.with_name(one) for one in shard_names(whole.name)] or [whole]
    try:
        stats = [file.stat() for file in files]
        sizes = [WeightsFile(path="", size_bytes=stat.st_size) for stat in stats]
        if projector:
            size = Path(projector).stat().st_size
            sizes.append(WeightsFile(path="", size_bytes=size, kind=FileKind.PROJECTOR))
        with whole.open("rb") as file:
            artifact = artifact_of(read(file), tuple(sizes))
    except (OSError, GgufError):
        return Described(identity="", name="")
    return Described(
        identity="",
        name="",
        format=artifact.format,
        architecture=artifact.architecture,
        parameters=artifact.parameters,
        quantization=artifact.quantization,
        size=sum(stat.st_size for stat in stats),
        modified=stats[0].st_mtime,
        context=artifact.context_size,
        memory=artifact.memory_bytes,
    )
