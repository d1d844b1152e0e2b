"""Which keys a change makes dirty. Pure: the cache is only read."""

from collections.abc import Callable, Iterator
from typing import Protocol

from modelrunner.api.v1alpha1 import defaults
from modelrunner.domain.naming import ARTIFACT_LABEL, MODEL_LABEL, RUNNER_LABEL
from modelrunner.kube.objects import KubeObject, labels_of, name_of, namespace_of
from modelrunner.kube.resources import MODEL_RUNNERS, MODELS, Resource
from modelrunner.kube.store import Store
from modelrunner.manager.keys import Key


class KeyMapper(Protocol):
    """Tells who has to look again when `item` (one state of an object) came, changed or went."""

    def keys(self, resource: Resource, item: KubeObject) -> Iterator[Key]:
        """The keys, possibly some more than once. A change is mapped in both of its states."""
        ...


class OwnerKeys:
    """The mapping of our kinds and their children.

    A Model → itself and its ModelRunner (which counts its Models). A ModelRunner → itself and
    all its Models. A child → the Model and the artifact its labels name; one that names no Model
    → the ModelRunner it names.

    `artifact_key` reads a Model's artifact key (None: its source is unreadable).
    """

    def __init__(self, store: Store, artifact_key: Callable[[KubeObject], str | None]) -> None:
        self._store = store
        self._artifact_key = artifact_key

    def keys(self, resource: Resource, item: KubeObject) -> Iterator[Key]:
        """See KeyMapper."""
        namespace = namespace_of(item)
        if resource == MODELS:
            yield Key.of(resource, item)
            yield Key(MODEL_RUNNERS.kind, namespace, runner_of(item))
        elif resource == MODEL_RUNNERS:
            yield Key.of(resource, item)
            for model in self._store.list(MODELS, namespace):
                if runner_of(model) == name_of(item):
                    yield Key.of(MODELS, model)
        else:
            yield from self._of_child(namespace, item)

    def _of_child(self, namespace: str, item: KubeObject) -> Iterator[Key]:
        labels = labels_of(item)
        model, runner, artifact = (
            labels.get(label) for label in (MODEL_LABEL, RUNNER_LABEL, ARTIFACT_LABEL)
        )
        if model:
            yield Key(MODELS.kind, namespace, model)
        elif runner:
            yield Key(MODEL_RUNNERS.kind, namespace, runner)
        if artifact:
            for found in self._store.list(MODELS, namespace):
                if self._artifact_key(found) == artifact:
                    yield Key.of(MODELS, found)


def runner_of(model: KubeObject) -> str:
    """The name of the ModelRunner a Model asks for."""
    return str((model.get("spec") or {}).get("runner") or defaults.RUNNER)
