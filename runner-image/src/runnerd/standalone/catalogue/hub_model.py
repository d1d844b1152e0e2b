"""A model of the Hugging Face Hub, as if a registry had it.

The Hub has no manifest. The one that is made here of the files' digests gives the model its
identity, so equal files are one model, and it can be pushed to a registry.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import aiohttp

from modelrunner_protocol.sources import describe_hugging_face
from modelrunner_protocol.wire import Artifact, FileKind, HuggingFaceSource, WeightsFile
from runnerd.standalone.catalogue.stored import Stored
from runnerd.weights.advice import Advice
from runnerd.weights.failure import unsupported
from runnerd.weights.huggingface.hub import Hub
from runnerd.weights.huggingface.weights import HuggingFaceWeights
from runnerd.weights.oci import media
from runnerd.weights.oci.package import Layer, assemble
from runnerd.weights.oci.weights import Description
from runnerd.weights.retry import Patience
from runnerd.weights.source import Body, WrongDigestError
from runnerd.weights.tensor_model import refuse_tensors

ADVICE: Final = Advice(
    reference="correct the name",
    login="set HF_TOKEN, here or where docker model runs, to a token of somebody who may read it",
)

_TOKENS: Final = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_MEDIA: Final = {FileKind.WEIGHTS: media.GGUF, FileKind.PROJECTOR: media.PROJECTOR}


class HubModel:
    """One model of a repository; see `sources.ModelSource`.

    Args:
        source: Which one.
        hub: Where, and as whom.
        session: From `http_session.new_session`.
        patience: With which it tries again after transient errors.
        known: The models that are there already.
    """

    def __init__(
        self,
        source: HuggingFaceSource,
        hub: Hub,
        session: aiohttp.ClientSession,
        patience: Patience,
        *,
        known: Callable[[], Sequence[Stored]],
    ) -> None:
        self._weights = HuggingFaceWeights(source, hub, session, patience)
        self._known = known
        self._where = describe_hugging_face(source)
        self._described: Description | None = None

    async def identify(self) -> str:
        """The digest of the model's manifest. Of one that is there already nothing is read."""
        files = await self._weights.list()
        for stored in self._known():
            if stored.artifact.files == files:
                return stored.identity
        self._described = _described(await self._weights.resolve(), self._where)
        return self._described.artifact.digest

    async def describe(self, version: str) -> Description:
        """What is there. `version` is what `identify` found, the only one."""
        if self._described is None or self._described.artifact.digest != version:
            self._described = _described(await self._weights.resolve(), self._where)
        return self._described

    async def resolve(self) -> Artifact:
        """See `WeightsSource.resolve`."""
        return await self._weights.resolve()

    async def files(self, expected: Artifact) -> tuple[WeightsFile, ...]:
        """See `WeightsSource.files`."""
        return await self._weights.files(expected)

    @asynccontextmanager
    async def open(
        self, file: WeightsFile, *, start: int = 0, stop: int | None = None, validator: str = ""
    ) -> AsyncIterator[Body]:
        """See `WeightsSource.open`."""
        opened = self._weights.open(file, start=start, stop=stop, validator=validator)
        async with opened as body:
            yield body

    def mismatch(self, file: WeightsFile, found: str) -> WrongDigestError:
        """See `WeightsSource.mismatch`."""
        return self._weights.mismatch(file, found)


def hub_of(environment: Mapping[str, str], token: str) -> Hub:
    """The Hub that the environment names, as whoever the request or the environment says."""
    name = next((one for one in _TOKENS if environment.get(one)), "")
    return Hub(
        token=token or environment.get(name, ""),
        origin="the request's bearer-token" if token else name,
        advice=ADVICE,
        environment=environment,
    )


def _described(artifact: Artifact, where: str) -> Description:
    refuse_tensors(
        artifact.files, where, "name a repository with GGUF files, often its name with -GGUF"
    )
    if not all(file.sha256 for file in artifact.files):
        raise unsupported("the Hub does not tell the sha256 of all files: name another repository")
    layers = tuple(
        Layer(
            path=Path(file.path),
            media_type=_MEDIA[file.kind],
            digest=f"sha256:{file.sha256}",
            size=file.size_bytes,
        )
        for file in artifact.files
    )
    package = assemble(artifact, layers)
    return Description(
        artifact=replace(artifact, digest=package.digest),
        manifest=package.manifest,
        config=package.config,
    )
