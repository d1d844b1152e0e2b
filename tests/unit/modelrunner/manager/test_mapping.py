"""Who has to look again when an object changed."""

from typing import Any

from modelrunner.kube.objects import KubeObject
from modelrunner.kube.resources import CLAIMS, JOBS, MODEL_RUNNERS, MODELS, PODS, SERVICES, Resource
from modelrunner.kube.store import Store
from modelrunner.manager.keys import Key
from modelrunner.manager.mapping import OwnerKeys


def thing(name: str, *, spec: dict[str, Any] | None = None, **labels: str) -> KubeObject:
    """An object of the namespace ns."""
    ours = {f"modelrunner.dev/{label}": value for label, value in labels.items()}
    return {"metadata": {"name": name, "namespace": "ns", "labels": ours}, "spec": spec or {}}


def keys(resource: Resource, item: KubeObject, *models: KubeObject) -> set[str]:
    """The keys of a change while the cache holds `models`."""
    store = Store()
    for model in models:
        store.put(MODELS, model)
    mapper = OwnerKeys(store, lambda model: model["spec"].get("keys", ()))
    return {str(key) for key in mapper.keys(resource, item, gone=False)}


def test_a_model_concerns_itself_and_its_runner() -> None:
    """The runner counts its Models; the default one when none is named."""
    assert keys(MODELS, thing("m", spec={"runner": "gpu"})) == {"Model ns/m", "ModelRunner ns/gpu"}
    assert keys(MODELS, thing("m")) == {"Model ns/m", "ModelRunner ns/default"}


def test_a_name_concerns_whoever_wants_it() -> None:
    """When the older Model comes, lets go of it or is gone; not when only its status changes."""
    mapper = OwnerKeys(Store(), lambda _: ())

    def told(item: KubeObject, *, gone: bool = False) -> set[str]:
        return {str(key) for key in mapper.keys(MODELS, item, gone=gone)}

    mine = {"Model ns/old", "ModelRunner ns/default"}
    old = thing("old", spec={"aliases": ["gpt"]})
    told(thing("young", spec={"aliases": ["gpt"]}))
    assert told(old) == {*mine, "Model ns/young"}
    assert told({**old, "status": {"phase": "Ready"}}) == mine
    assert told(thing("old")) == {*mine, "Model ns/young"}
    told(old)
    assert told(old, gone=True) == {*mine, "Model ns/young"}


def test_a_runner_concerns_all_its_models() -> None:
    """A changed image rolls every Model of the runner, and no other."""
    models = thing("a"), thing("b", spec={"runner": "default"}), thing("c", spec={"runner": "gpu"})
    assert keys(MODEL_RUNNERS, thing("default"), *models) == {
        "ModelRunner ns/default",
        "Model ns/a",
        "Model ns/b",
    }


def test_a_runners_status_is_none_of_its_models_business() -> None:
    """The operator writes it each time a Model becomes ready: 200 Models would look 200 times."""
    store = Store()
    store.put(MODELS, thing("a"))
    mapper = OwnerKeys(store, lambda _: ())

    def told(generation: int, *, gone: bool = False) -> set[str]:
        runner = thing("default")
        runner["metadata"]["generation"] = generation
        return {str(key) for key in mapper.keys(MODEL_RUNNERS, runner, gone=gone)}

    everybody = {"ModelRunner ns/default", "Model ns/a"}
    assert told(1) == everybody
    assert told(1) == {"ModelRunner ns/default"}
    assert told(2) == everybody
    assert told(2, gone=True) == everybody
    assert told(2) == everybody


def test_a_child_concerns_the_model_of_its_label() -> None:
    """Pods change often: the runner is not bothered."""
    assert keys(PODS, thing("p", model="m", runner="gpu")) == {"Model ns/m"}


def test_a_child_without_a_model_concerns_its_runner() -> None:
    """What serves a whole ModelRunner."""
    assert keys(SERVICES, thing("s", runner="gpu")) == {"ModelRunner ns/gpu"}


def test_an_artifact_concerns_every_model_that_shares_it() -> None:
    """Two Models wait for one pull Job and use one claim."""
    models = [
        thing(name, spec={"keys": [key]}) for name, key in (("a", "k"), ("b", "k"), ("c", "x"))
    ]
    assert keys(CLAIMS, thing("c", artifact="k"), *models) == {"Model ns/a", "Model ns/b"}
    assert keys(JOBS, thing("j", artifact="k", model="a"), *models) == {"Model ns/a", "Model ns/b"}


def test_a_stranger_concerns_nobody() -> None:
    """An object without our labels."""
    assert keys(PODS, thing("p")) == set()


def test_keys_read_well() -> None:
    """They are what logs show."""
    assert str(Key("Model", "ns", "m")) == "Model ns/m"


def test_a_draft_concerns_those_who_use_it() -> None:
    """When it comes, when its source or what it says of its weights changes, and when it goes."""
    mapper = OwnerKeys(Store(), lambda _: ())

    def told(item: KubeObject, *, gone: bool = False) -> set[str]:
        found = {str(key) for key in mapper.keys(MODELS, item, gone=gone)}
        return found - {"ModelRunner ns/default", f"Model ns/{item['metadata']['name']}"}

    def draft(generation: int = 1, cached: str = "False", used: str = "") -> KubeObject:
        found = thing("d")
        found["metadata"]["generation"] = generation
        condition = {"type": "Cached", "status": cached, "reason": "x", "message": "y"}
        return {**found, "status": {"conditions": [condition], "lastUsedTime": used}}

    def user(of: str) -> KubeObject:
        return thing("m", spec={"config": {"speculative": {"draftModel": of}}} if of else {})

    assert told(draft()) == set()
    assert told(user("d")) == set()
    assert told(draft()) == {"Model ns/m"}
    assert told(draft(used="now")) == set()
    assert told(draft(cached="True")) == {"Model ns/m"}
    assert told(draft(generation=2, cached="True")) == {"Model ns/m"}
    assert told(draft(generation=2, cached="True"), gone=True) == {"Model ns/m"}
    assert told(draft()) == {"Model ns/m"}
    told(user("other"))
    assert told(draft(generation=3)) == set()
    told(user("d"))
    told(user("d"), gone=True)
    assert told(draft(generation=4)) == set()
