"""Which optional kinds the cluster serves: they may be installed after the operator."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from modelrunner.kube.client import KubeClient
from modelrunner.kube.errors import KubeError
from modelrunner.kube.resources import Resource

_log = logging.getLogger(__name__)


class Discovery:
    """Looks for `resource` every `period` seconds; `changed` is called when it came or went."""

    def __init__(
        self, client: KubeClient, resource: Resource, *, changed: Callable[[], None], period: float
    ) -> None:
        self._client = client
        self._resource = resource
        self._changed = changed
        self._period = period
        self._served: bool | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._period)

    async def look(self) -> None:
        """Look once. An API server that does not answer changes nothing."""
        try:
            served = await self._client.has(self._resource)
        except KubeError as error:
            _log.warning("discovery of %s failed: %s", self._resource.label, error)
            return
        before, self._served = self._served, served
        # The first look is no news: everything is reconciled at the start anyway.
        if before is not None and before != served:
            _log.info("the kind %s is %s", self._resource.kind, "served now" if served else "gone")
            self._changed()


async def wait_served(
    client: KubeClient,
    resources: Sequence[Resource],
    *,
    waiting: Callable[[str], None],
    period: float = 5.0,
) -> None:
    """Wait until all kinds are served; `waiting` is told what is missing ("" at the end)."""
    said = ""
    while True:
        try:
            missing = [kind.label for kind in resources if not await client.has(kind)]
        except KubeError as error:
            what = f"the API server cannot be asked: {error}"
        else:
            what = ", ".join(missing)
            what = what and f"not served, install the CRDs: {what}"
        waiting(what)
        if not what:
            return
        if what != said:
            _log.warning("%s", what)
            said = what
        await asyncio.sleep(period)
