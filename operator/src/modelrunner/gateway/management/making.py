"""From a reference to a Model that pulls it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

from modelrunner.domain.objects import Object, uid_of
from modelrunner.gateway.dialects import Refused
from modelrunner.gateway.management.manifest import (
    HUGGING_FACE,
    aliases_of,
    manifest,
    reference_of,
)
from modelrunner.gateway.management.naming import model_name, other_name
from modelrunner.gateway.management.objects import ModelObjects
from modelrunner.gateway.management.refreshing import Refreshing, Request, can_move
from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.kube.errors import AlreadyExists
from modelrunner_protocol.references import key, locate

_UNASKED: Final = "nobody looks whether the source has moved"

May = Callable[[str, str], bool]
"""Whether who asks may use a Model of that namespace and name."""


@dataclass(frozen=True, slots=True)
class Made:
    """The Model of a reference; `new`: it was not there before.

    `asked`: of one that was, the look whether its source has moved; `unasked`: why there is none
    although there should be.
    """

    namespace: str
    name: str
    uid: str
    new: bool
    asked: Request | None = None
    unasked: str = ""


class Making:
    """Makes Models."""

    def __init__(self, objects: ModelObjects) -> None:
        self._objects = objects
        self._refreshing = Refreshing(objects)

    async def model_of(self, text: str, may: May) -> Made:
        """The Model that has this reference, made if there is none.

        Of one that is there it is asked whether its source has moved.

        Raises:
            Refused: no reference; a key without that right; the API server says no.
        """
        reference = _checked(text)
        found = self._objects.table.find(reference)
        if found is not None:
            return await self._refreshed(found, _existing(found, reference, may))
        home = self._objects.terms.namespace
        for name in (model_name(reference), other_name(reference)):
            if not may(home, name):
                told = f"The API key may not use the model {home}/{name}, which would be made"
                raise Refused(403, "model_not_allowed", told)
            if made := await self._try(reference, home, name):
                return made
        told = f"The names for {reference} in {home} are taken by Models of something else"
        raise Refused(409, "name_taken", told)

    async def _refreshed(self, entry: ModelEntry, made: Made) -> Made:
        if not can_move(entry):
            return made
        try:
            return replace(made, asked=await self._refreshing.ask(entry))
        except Refused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise
            # Whyever nobody may look or can, the weights are there all the same.
            return replace(made, unasked=f"{_UNASKED}: {error.message}")

    async def _try(self, reference: str, namespace: str, name: str) -> Made | None:
        """Make it under this name; None when a Model of something else has it."""
        terms = self._objects.terms
        body = manifest(
            reference,
            namespace=namespace,
            name=name,
            runner=terms.runner,
            insecure=terms.insecure,
        )
        try:
            made = await self._objects.create(body)
        except AlreadyExists:
            # Somebody was first: another request for the same, or another model's owner.
            there = await self._objects.get(namespace, name)
            if there is None or not _is_of(there, reference):
                return None
            return Made(namespace, name, uid_of(there), new=False)
        return Made(namespace, name, uid_of(made), new=True)


def _checked(text: str) -> str:
    try:
        place = locate(text)
    except ValueError as error:
        raise Refused(400, "invalid_reference", f"Invalid model reference: {error}") from error
    if place.registry == HUGGING_FACE and place.repository.count("/") != 1:
        told = "Invalid model reference: write hf.co/OWNER/NAME:QUANTIZATION"
        raise Refused(400, "invalid_reference", told)
    if place.registry == HUGGING_FACE and place.digest:
        raise Refused(
            400, "invalid_reference", "Hugging Face knows no digests: name a quantization"
        )
    return text


def _existing(entry: ModelEntry, reference: str, may: May) -> Made:
    if not may(entry.namespace, entry.name):
        told = f"The API key may not use the model {entry.path}, which {reference} is"
        raise Refused(403, "model_not_allowed", told)
    return Made(entry.namespace, entry.name, entry.uid, new=False)


def _is_of(model: Object, reference: str) -> bool:
    wanted = key(reference)
    return reference_of(model.get("spec")) == wanted or wanted in map(key, aliases_of(model))
