"""Which keys a change makes dirty."""

from collections.abc import Callable, Iterator
from typing import Protocol

from modelrunner.api.v1alpha1 import defaults
from modelrunner.domain.naming import ARTIFACT_LABEL, MODEL_LABEL, RUNNER_LABEL
from modelrunner.kube.objects import KubeObject, labels_of, metadata, name_of, namespace_of, uid_of
from modelrunner.kube.resources import MODEL_RUNNERS, MODELS, Resource
from modelrunner.kube.store import Store
from modelrunner.manager.keys import Key
from modelrunner.reconcilers.index import NameIndex


class KeyMapper(Protocol):
    """Tells who has to look again when `item` (one state of an object) came, changed or went."""

    def keys(self, resource: Resource, item: KubeObject, *, gone: bool) -> Iterator[Key]:
        """The keys, possibly some more than once. A change is mapped in both of its states.

        `gone`: the object has been deleted, and `item` is what it was.
        """
        ...


class OwnerKeys:
    """The mapping of our kinds and their children.

    A Model → itself, its ModelRunner (which counts its Models), and Models that want a name which
    it has got or given up. A ModelRunner → itself and,
    when it is new, gone or its spec has changed, all its Models: its status, which the operator
    itself writes whenever a Model becomes ready, is none of theirs. A child → the Model and the artifact its labels name; one that names no Model
    → the ModelRunner it names.

    `artifact_key` reads a Model's artifact key (None: its source is unreadable).
    """

    def __init__(self, store: Store, artifact_key: Callable[[KubeObject], str | None]) -> None:
        self._store = store
        self._artifact_key = artifact_key
        self._specs: dict[tuple[str, str], tuple[str, object]] = {}
        self._names = NameIndex()

    def keys(self, resource: Resource, item: KubeObject, *, gone: bool) -> Iterator[Key]:
        """See KeyMapper."""
        namespace = namespace_of(item)
        if resource == MODELS:
            yield Key.of(resource, item)
            yield Key(MODEL_RUNNERS.kind, namespace, runner_of(item))
            rivals = self._names.drop(item) if gone else self._names.put(item)
            for rival in rivals:
                yield Key(MODELS.kind, *rival)
        elif resource == MODEL_RUNNERS:
            yield Key.of(resource, item)
            if not self._other_spec(item, gone=gone):
                return
            for model in self._store.list(MODELS, namespace):
                if runner_of(model) == name_of(item):
                    yield Key.of(MODELS, model)
        else:
            yield from self._of_child(namespace, item)

    def _other_spec(self, runner: KubeObject, *, gone: bool) -> bool:
        """Whether it is another than its Models were last told of."""
        place = namespace_of(runner), name_of(runner)
        if gone:
            self._specs.pop(place, None)
            return True
        spec = uid_of(runner), metadata(runner).get("generation")
        known = self._specs.get(place)
        self._specs[place] = spec
        return known != spec

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
