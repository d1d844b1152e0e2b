"""What keeps the route table up to date: watches of Models and of our EndpointSlices."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from modelrunner.domain.naming import MANAGED_BY, MANAGED_BY_LABEL
from modelrunner.gateway.table.table import RouteTable
from modelrunner.kube.client import KubeClient
from modelrunner.kube.objects import KubeObject
from modelrunner.kube.resources import ENDPOINT_SLICES, MODELS
from modelrunner.kube.watch import Watch, WatchTimes

OURS: Final = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
"""Selector of our slices: the labels of the operator's Services are copied onto them."""


@dataclass(frozen=True, slots=True)
class _Sink:
    replace: Callable[[Sequence[KubeObject]], None]
    put: Callable[[KubeObject], None]
    drop: Callable[[KubeObject], None]


class TableFeed:
    """Watches `namespaces` (none: all) into a table.

    `synced` is set once everything was listed; before that the table says of a model that it is
    not there although it may be. `watches` are there to be counted. Run it once.
    """

    def __init__(
        self,
        client: KubeClient,
        table: RouteTable,
        namespaces: Sequence[str] = (),
        *,
        times: WatchTimes | None = None,
    ) -> None:
        self.synced = asyncio.Event()
        self.watches: list[Watch] = []
        for namespace in namespaces or (None,):
            models = _Sink(
                partial(table.replace_models, namespace=namespace),
                table.put_model,
                table.drop_model,
            )
            slices = _Sink(
                partial(table.replace_slices, namespace=namespace),
                table.put_slice,
                table.drop_slice,
            )
            self.watches += [
                Watch(
                    client,
                    ENDPOINT_SLICES,
                    slices,
                    namespace=namespace,
                    label_selector=OURS,
                    times=times,
                ),
                Watch(client, MODELS, models, namespace=namespace, times=times),
            ]

    @property
    def age(self) -> float | None:
        """Seconds since the most silent watch heard from the server; None before `synced`."""
        ages = [age for watch in self.watches if (age := watch.age) is not None]
        return max(ages) if len(ages) == len(self.watches) else None

    @property
    def trouble(self) -> str:
        """What keeps a watch from going on, "" when nothing does."""
        return next((watch.trouble for watch in self.watches if watch.trouble), "")

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for watch in self.watches:
                group.create_task(watch.run())
            for watch in self.watches:
                await watch.synced.wait()
            self.synced.set()
