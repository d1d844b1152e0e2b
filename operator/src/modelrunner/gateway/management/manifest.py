"""Models as the API makes them, and whose a Model is. Pure."""

from collections.abc import Collection, Iterator
from typing import Any, Final

from modelrunner.api.v1alpha1.common import API_VERSION
from modelrunner.domain.naming import GROUP
from modelrunner.domain.objects import Object, dig, label, name_of, text
from modelrunner_protocol.references import key, locate, normalize

MANAGER: Final = "model-runner-gateway-api"
"""Field manager of everything that the API writes."""

LABEL: Final = f"{GROUP}/managed-by"
LABEL_VALUE: Final = "gateway-api"
"""On Models that the API made: these it may delete unasked, and purge."""

HUGGING_FACE: Final = "huggingface.co"
_DEFAULT_RUNNER: Final = "default"
_DEFAULT_TAG: Final = "latest"


def source_of(reference: str, insecure: Collection[str] = ()) -> dict[str, Any]:
    """A Model's source: an artifact in a registry, or a repository of Hugging Face.

    There a tag is the quantization, and the name's case is kept.
    """
    place = locate(reference)
    if place.registry == HUGGING_FACE:
        _, _, path = reference.strip().partition("/")
        hub: dict[str, Any] = {"repository": path[: len(place.repository)]}
        if place.tag != _DEFAULT_TAG:
            hub["quantization"] = place.tag
        return {"huggingFace": hub}
    oci: dict[str, Any] = {"reference": normalize(reference)}
    if place.registry in insecure:
        oci["insecure"] = True
    return {"oci": oci}


def manifest(
    reference: str, *, namespace: str, name: str, runner: str, insecure: Collection[str]
) -> dict[str, Any]:
    """A new Model of a reference.

    Its alias is the reference, so that lists show the ID that the client knows. `insecure`:
    registries that are spoken to over plain http.
    """
    spec: dict[str, Any] = {
        "source": source_of(reference, insecure),
        "aliases": [normalize(reference)],
    }
    if runner != _DEFAULT_RUNNER:
        spec["runner"] = runner
    return {
        "apiVersion": API_VERSION,
        "kind": "Model",
        "metadata": {"namespace": namespace, "name": name, "labels": {LABEL: LABEL_VALUE}},
        "spec": spec,
    }


def made_here(model: Object) -> bool:
    """Whether the API made it."""
    return label(model, LABEL) == LABEL_VALUE


def reference_of(spec: Any) -> str:
    """The normalised reference of its source, "" for another kind of source."""
    if repository := text(spec, "source", "huggingFace", "repository"):
        tag = text(spec, "source", "huggingFace", "quantization") or _DEFAULT_TAG
        return key(f"{HUGGING_FACE}/{repository}:{tag}")
    return key(text(spec, "source", "oci", "reference"))


def aliases_of(model: Object) -> list[str]:
    """Its aliases as they are written."""
    found = dig(model, "spec", "aliases")
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def removable(model: Object, name: str) -> str:
    """The alias, as written, that `name` means and that may go while the Model stays, or "".

    What the Model is called itself, and what it was made from, is no such alias: who deletes
    that means the Model.
    """
    wanted = key(name)
    if not wanted or wanted in _own_keys(model):
        return ""
    return next((alias for alias in aliases_of(model) if key(alias) == wanted), "")


def other_names(model: Object) -> list[str]:
    """Aliases beside its own name and what it was made from: others may use it by them."""
    own = _own_keys(model)
    return [alias for alias in aliases_of(model) if key(alias) not in own]


def _own_keys(model: Object) -> set[str]:
    return set(_keys(model)) - {""}


def _keys(model: Object) -> Iterator[str]:
    yield key(name_of(model))
    yield reference_of(model.get("spec"))
