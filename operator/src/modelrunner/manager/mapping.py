"""Which keys a change makes dirty."""

from collections.abc import Callable, Collection, Iterator
from typing import Protocol

from modelrunner.api.v1alpha1 import defaults
from modelrunner.domain.drafts import draft_of, weights_seal
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

    A Model → itself, its ModelRunner (which counts its Models), Models that want a name which
    it has got or given up, and those whose draft model it is when its weights or what it says of
    them has changed. A ModelRunner → itself and,
    when it is new, gone or its spec has changed, all its Models: its status, which the operator
    itself writes whenever a Model becomes ready, is none of theirs. A child → the Model and the artifact its labels name; one that names no Model
    → the ModelRunner it names.

    `artifact_keys` reads the keys of a Model's source and of the version of it that it wants.
    """

    def __init__(
        self, store: Store, artifact_keys: Callable[[KubeObject], Collection[str]]
    ) -> None:
        self._store = store
        self._artifact_keys = artifact_keys
        self._specs: dict[tuple[str, str], tuple[str, object]] = {}
        self._names = NameIndex()
        self._drafts = _Drafts()

    def keys(self, resource: Resource, item: KubeObject, *, gone: bool) -> Iterator[Key]:
        """See KeyMapper."""
        namespace = namespace_of(item)
        if resource == MODELS:
            yield Key.of(resource, item)
            yield Key(MODEL_RUNNERS.kind, namespace, runner_of(item))
            rivals = self._names.drop(item) if gone else self._names.put(item)
            for rival in rivals:
                yield Key(MODELS.kind, *rival)
            for user in self._drafts.users(item, gone=gone):
                yield Key(MODELS.kind, namespace, user)
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
                if artifact in self._artifact_keys(found):
                    yield Key.of(MODELS, found)


class _Drafts:
    """Which Models draft with which."""

    def __init__(self) -> None:
        self._named: dict[tuple[str, str], str] = {}
        self._users: dict[tuple[str, str], set[str]] = {}
        self._told: dict[tuple[str, str], tuple[object, ...]] = {}

    def users(self, model: KubeObject, *, gone: bool) -> Iterator[str]:
        """Take in a Model; the names of those who have to look again because of it."""
        namespace, name = place = namespace_of(model), name_of(model)
        self._note(namespace, name, "" if gone else draft_of(model))
        if place not in self._users:
            self._told.pop(place, None)
            return
        seal = (uid_of(model), gone, *weights_seal(model))
        if self._told.get(place) != seal:
            self._told[place] = seal
            yield from sorted(self._users[place])

    def _note(self, namespace: str, name: str, draft: str) -> None:
        before = self._named.pop((namespace, name), "")
        if before and before != draft:
            users = self._users[namespace, before]
            users.discard(name)
            if not users:
                del self._users[namespace, before]
        if draft:
            self._named[namespace, name] = draft
            self._users.setdefault((namespace, draft), set()).add(name)


def runner_of(model: KubeObject) -> str:
    """The name of the ModelRunner a Model asks for."""
    return str((model.get("spec") or {}).get("runner") or defaults.RUNNER)
