"""Weights in a registry: one artifact, one or more files."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from modelrunner_protocol.references import Location
from modelrunner_protocol.wire import Artifact, FileKind, WeightsFile
from runnerd.weights import formats
from runnerd.weights.failure import WeightsError, unsupported
from runnerd.weights.http_body import body_of, range_header
from runnerd.weights.oci import documents, media
from runnerd.weights.oci.layers import check_config_type, files_of
from runnerd.weights.oci.registry import Registry
from runnerd.weights.remote_header import read_remote_header
from runnerd.weights.remote_tensors import read_tensors
from runnerd.weights.retry import Patience
from runnerd.weights.source import Body, WrongDigestError
from runnerd.weights.tensor_files import is_tensors

_ACCEPT: Final = {"Accept": ", ".join(sorted(media.MANIFESTS | media.INDEXES))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """An artifact, and the documents that describe it: the very bytes, which have digests."""

    artifact: Artifact
    manifest: bytes
    config: bytes


class OciWeights:
    """An artifact in a registry; see `WeightsSource`.

    Args:
        reference: In words.
        location: The same in parts.
        registry: Reads from its repository.
        patience: With which `resolve` tries again after transient errors.
    """

    def __init__(
        self, reference: str, location: Location, registry: Registry, patience: Patience
    ) -> None:
        self._where = reference
        self._location = location
        self._registry = registry
        self._patience = patience

    async def resolve(self) -> Artifact:
        """Read the manifest, the config and, by ranges, the model's header.

        Raises:
            WeightsError: nothing there, nothing that can be run, or no answer in time.
        """
        return (await self.describe(self._location.version)).artifact

    async def identify(self) -> str:
        """The digest of the artifact's manifest, which names it for ever, as its tag does not.

        Raises:
            WeightsError: see `resolve`.
        """
        _, _, digest = await self._patience.persist(
            f"resolving {self._where}", lambda: self._manifest(self._location.version)
        )
        return digest

    async def describe(self, version: str) -> Description:
        """What `resolve` finds under a tag or a digest of the repository, and how it is told.

        Raises:
            WeightsError: see `resolve`.
        """
        return await self._patience.persist(
            f"resolving {self._where}", lambda: self._describe(version)
        )

    async def files(self, expected: Artifact) -> tuple[WeightsFile, ...]:
        """All files of the resolved artifact, whatever its tag has become since."""
        known = sum(file.size_bytes for file in expected.files) == expected.size_bytes
        if known and all(file.sha256 for file in expected.files):
            return expected.files
        manifest, _, _ = await self._manifest(expected.digest or self._location.version)
        config, _ = await self._config(manifest)
        return files_of(manifest, config, self._where)

    @asynccontextmanager
    async def open(
        self,
        file: WeightsFile,
        *,
        start: int = 0,
        stop: int | None = None,
        validator: str = "",  # noqa: ARG002 - what has a digest for a name never changes
    ) -> AsyncIterator[Body]:
        """Read a range of a file; see `WeightsSource.open`."""
        headers = range_header(start, stop)
        async with self._registry.get(f"blobs/sha256:{file.sha256}", headers) as response:
            yield body_of(response, start, validator=file.sha256)

    def mismatch(self, file: WeightsFile, found: str) -> WrongDigestError:
        """The failure to tell when a blob is not what its name says; see `WeightsSource`."""
        return WrongDigestError(
            f"{file.path} of {self._where} has sha256 {found} instead of {file.sha256}: the registry, "
            "or a proxy before it, is damaged; push the artifact again if it stays so",
            retryable=True,
        )

    async def _describe(self, version: str) -> Description:
        manifest, told, digest = await self._manifest(version)
        config, told_config = await self._config(manifest)
        files = files_of(manifest, config, self._where)
        artifact = await (
            read_tensors(files, self.open, self._where, digest)
            if is_tensors(files[0].path)
            else self._gguf(files, config, digest)
        )
        return Description(artifact=config.completing(artifact), manifest=told, config=told_config)

    async def _gguf(
        self, files: tuple[WeightsFile, ...], config: documents.Config, digest: str
    ) -> Artifact:
        first = files[0]
        found = await read_remote_header(
            lambda start, stop: self.open(first, start=start, stop=stop), self._where
        )
        if found.size != first.size_bytes:
            raise WeightsError(
                f"{self._where}: the registry holds {found.size} bytes of the layer "
                f"sha256:{first.sha256}, its manifest says {first.size_bytes}: push the artifact again",
                retryable=True,
            )
        shards = sum(file.kind is FileKind.WEIGHTS for file in files)
        if found.header.shards == 1 < shards:
            raise unsupported(f"{self._where} holds {shards} models: name an artifact with one")
        if found.header.shards != shards:
            raise unsupported(
                f"{self._where} holds {shards} of the {found.header.shards} parts of a split model: "
                "package all of them"
            )
        artifact = formats.artifact_of(found.header, files, digest=digest)
        # Of a split model the header tells a part only; the whole is counted once it is here.
        return replace(artifact, parameters=config.parameters) if shards > 1 else artifact

    async def _manifest(self, version: str) -> tuple[documents.Manifest, bytes, str]:
        """The artifact's manifest, its bytes and its digest; of an index the model's in it."""
        for _ in range(2):
            data, kind = await self._registry.read(
                f"manifests/{version}", _ACCEPT, documents.LONGEST
            )
            if ":" in version:
                documents.checked(data, version, f"the manifest of {self._where}")
            found = documents.read_manifest(data, kind, self._where)
            if isinstance(found, documents.Manifest):
                check_config_type(found, self._where)
                return found, data, documents.digest_of(data)
            version = documents.choose(found, self._where).digest
        raise unsupported(f"{self._where} is an index of indexes: name the artifact by its digest")

    async def _config(self, manifest: documents.Manifest) -> tuple[documents.Config, bytes]:
        config = manifest.config
        if config.size > documents.LONGEST:
            raise unsupported(f"{self._where} has a config of {config.size} bytes: it is refused")
        data, _ = await self._registry.read(f"blobs/{config.digest}", {}, config.size)
        documents.checked(data, config.digest, f"the config of {self._where}")
        return documents.read_config(data, self._where), data
