"""How kopf is set up: a watch engine that stores nothing and gives up never."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import kopf

from modelrunner.domain.naming import GROUP
from modelrunner.kube.collection import Collection


@dataclass(frozen=True, slots=True)
class CappedBackoff(Iterable[float]):
    """Delays in seconds that grow by `factor` up to `cap`, and never end.

    kopf iterates anew for each request, and gives up where the iteration ends: hence endless.
    """

    first: float = 0.2
    factor: float = 2.0
    cap: float = 30.0

    def __iter__(self) -> Iterator[float]:
        delay = self.first
        while True:
            yield delay
            delay = min(delay * self.factor, self.cap)


def configure(settings: kopf.OperatorSettings, collections: Sequence[Collection]) -> None:
    """Set everything that is not right by default; the reasons are beside each line."""
    settings.posting.enabled = False  # events are written by our own recorder
    settings.scanning.disabled = True  # no rights on namespaces or CRDs are needed
    settings.peering.standalone = True  # the Lease decides who leads
    settings.watching.chunk_size = 500
    settings.watching.connect_timeout = 10
    for collection in collections:
        if collection.label_selector:
            of = collection.resource
            # The filter of a handler is applied here; this one is applied by the server.
            settings.watching.label_selectors[of.group, of.version, of.plural] = (
                collection.label_selector
            )
    settings.networking.request_timeout = 60
    settings.networking.error_backoffs = CappedBackoff()
    settings.queueing.idle_timeout = 1.0
    settings.queueing.worker_limit = None  # a limit would stall: a slot is held while idle
    # Never used while there are only event handlers; named so that a mistake would be ours.
    settings.persistence.finalizer = f"{GROUP}/finalizer"
    settings.process.ultimate_exiting_timeout = 30


async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Credentials for the watches, found in the same order as those of our own client."""
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    if not os.environ.get("KUBECONFIG") and host:
        found = kopf.login_with_service_account(**kwargs)
        port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        shown = f"[{host}]" if ":" in host else host
        # By address: the operator starts even where cluster DNS does not answer yet.
        return None if found is None else replace(found, server=f"https://{shown}:{port}")
    return kopf.login_with_kubeconfig(**kwargs)
