"""Model objects at the API server, for the API: reads, writes, and refusals that a client reads."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from modelrunner.api.v1alpha1.common import API_VERSION
from modelrunner.domain.objects import Object, text, uid_of
from modelrunner.gateway.dialects import Refused
from modelrunner.gateway.management.manifest import LABEL, LABEL_VALUE, MANAGER
from modelrunner.gateway.management.refusals import Deed, refused
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.table.table import RouteTable
from modelrunner.kube.client import KubeClient
from modelrunner.kube.errors import AlreadyExists, Conflict, Invalid, KubeError
from modelrunner.kube.objects import KubeObject, version_number
from modelrunner.kube.resources import MODELS

_log = logging.getLogger(__name__)

_SAME: Final = ("namespace", "name", "uid", "resourceVersion")
_PATIENCE: Final = 2.0
"""Seconds that an answer waits until this process itself has seen what it tells."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What new Models are like, and where the API may write.

    `runner` is the ModelRunner that they name, `insecure` are the registries that are spoken to
    over plain http.
    """

    namespace: str
    runner: str = "default"
    insecure: frozenset[str] = frozenset()


class ModelObjects:
    """All methods raise Refused."""

    def __init__(self, client: KubeClient, table: RouteTable, terms: Terms) -> None:
        self._client = client
        self.table = table
        self.terms = terms

    async def get(self, namespace: str, name: str) -> KubeObject | None:
        """The Model as it is now."""
        with self.told("read", namespace, name):
            return await self._client.get(MODELS, namespace, name)

    async def live(self, entry: ModelEntry) -> KubeObject:
        """The Model of an entry as it is now; 404 when it is gone, or another of that name."""
        found = await self.get(entry.namespace, entry.name)
        if found is None or uid_of(found) != entry.uid:
            told = f"The Model {entry.path} was deleted a moment ago"
            raise Refused(404, "model_not_found", told)
        return found

    async def own(self) -> list[KubeObject]:
        """The Models that the API has made."""
        home = self.terms.namespace
        with self.told("list", home, "*"):
            selector = f"{LABEL}={LABEL_VALUE}"
            return await self._client.list(MODELS, home, label_selector=selector)

    async def create(self, body: Mapping[str, Any]) -> KubeObject:
        """Make a Model.

        Raises:
            AlreadyExists: the name is taken.
        """
        place = text(body, "metadata", "namespace")
        try:
            made = await self._client.create(MODELS, place, body, field_manager=MANAGER)
        except AlreadyExists:
            raise
        except KubeError as error:
            raise refused(
                self._deed("create", place, text(body, "metadata", "name")), error
            ) from error
        _log.info("made the Model %s/%s", place, text(body, "metadata", "name"))
        return made

    async def apply(self, model: Object, spec: Mapping[str, Any]) -> KubeObject:
        """Apply a part of the spec, if the Model is still as `model`, and wait until it is seen.

        Raises:
            Conflict: somebody else was first, or a field belongs to another manager.
        """
        metadata = {name: text(model, "metadata", name) for name in _SAME}
        namespace, name = metadata["namespace"], metadata["name"]
        body = {"apiVersion": API_VERSION, "kind": "Model", "metadata": metadata, "spec": spec}
        after = await self._client.apply(
            MODELS, namespace, name, body, field_manager=MANAGER, force=False, strict=True
        )
        await self._seen(after)
        return after

    async def annotate(self, entry: ModelEntry, name: str, value: str) -> KubeObject:
        """Set an annotation of an entry's Model, whoever else changes it, and wait until it is seen."""
        body = {"metadata": {"uid": entry.uid, "annotations": {name: value}}}
        with self.told("patch", entry.namespace, entry.name):
            try:
                after = await self._client.merge_patch(
                    MODELS, entry.namespace, entry.name, body, field_manager=MANAGER
                )
            except (Conflict, Invalid):
                # A Model that was made anew has another uid, and a uid cannot be changed.
                await self.live(entry)
                raise
        await self._seen(after)
        return after

    async def patch(self, model: Object, operations: Sequence[Mapping[str, Any]]) -> KubeObject:
        """Patch a Model if it is still as `model`, and wait until it is seen.

        Raises:
            Invalid: it is not, or the operations do not fit.
        """
        version = text(model, "metadata", "resourceVersion")
        guard = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
        namespace, name = text(model, "metadata", "namespace"), text(model, "metadata", "name")
        after = await self._client.json_patch(
            MODELS, namespace, name, [guard, *operations], field_manager=MANAGER
        )
        await self._seen(after)
        return after

    async def delete(self, model: Object) -> None:
        """Delete this very Model, and wait until it is seen to be gone."""
        namespace, name = text(model, "metadata", "namespace"), text(model, "metadata", "name")
        uid = uid_of(model)
        with self.told("delete", namespace, name):
            await self._client.delete(MODELS, namespace, name, propagation="Background", uid=uid)
        _log.info("deleted the Model %s/%s", namespace, name)

        def gone() -> bool:
            entry = self.table.find(f"{namespace}/{name}")
            return entry is None or entry.uid != uid

        await self.until(gone)

    async def until(self, condition: Callable[[], bool], seconds: float = _PATIENCE) -> None:
        """Wait for something that the table will tell, for so long at most."""
        changed = asyncio.Event()
        undo = self.table.subscribe(lambda _: changed.set())
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return
        finally:
            undo()

    @contextmanager
    def told(self, verb: str, namespace: str, name: str) -> Iterator[None]:
        """Turn the API server's refusals into the client's."""
        try:
            yield
        except KubeError as error:
            raise refused(self._deed(verb, namespace, name), error) from error

    def _deed(self, verb: str, namespace: str, name: str) -> Deed:
        return Deed(verb, namespace, name, self.terms.namespace)

    async def _seen(self, after: Object) -> None:
        """So that who changes a Model and then asks for it finds what was written."""
        path = f"{text(after, 'metadata', 'namespace')}/{text(after, 'metadata', 'name')}"
        written = version_number(text(after, "metadata", "resourceVersion")) or 0

        def seen() -> bool:
            entry = self.table.find(path)
            return entry is None or (version_number(entry.version) or written) >= written

        await self.until(seen)
