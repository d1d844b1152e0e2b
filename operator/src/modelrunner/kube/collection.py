"""One watched collection: what the operator lists, and how it is brought up to date."""

from collections.abc import Sequence
from dataclasses import dataclass

from modelrunner.kube.client import KubeClient
from modelrunner.kube.resources import Resource
from modelrunner.kube.store import Change, Store


@dataclass(frozen=True, slots=True)
class Collection:
    """The objects of `resource` with `label_selector` in `namespaces` (empty: in all)."""

    resource: Resource
    namespaces: Sequence[str] = ()
    label_selector: str = ""


class CollectionSource:
    """Lists a collection into the Store; the resync's source of truth."""

    def __init__(self, client: KubeClient, store: Store, collection: Collection) -> None:
        self._client = client
        self._store = store
        self._collection = collection

    @property
    def name(self) -> str:
        """For logs and metrics: `deployments.apps`."""
        return self._collection.resource.label

    async def refresh(self) -> list[Change]:
        """List everything and tell what the Store had wrong, deletions included.

        Raises:
            KubeError: the server could not be asked; the Store keeps what it had.
        """
        of = self._collection
        changes: list[Change] = []
        for namespace in of.namespaces or (None,):
            listed = await self._client.snapshot(
                of.resource, namespace, label_selector=of.label_selector
            )
            changes += self._store.replace(
                of.resource, listed.items, namespace=namespace, version=listed.resource_version
            )
        return changes
