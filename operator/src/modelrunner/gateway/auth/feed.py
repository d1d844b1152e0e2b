"""Keeps a key ring as the Secrets of the gateway's namespace are."""

import asyncio
import random
from collections.abc import Callable

from modelrunner.gateway.auth.key import LABEL
from modelrunner.gateway.auth.keyring import KeyRing
from modelrunner.kube.client import KubeClient
from modelrunner.kube.resources import SECRETS
from modelrunner.kube.watch import Watch, WatchTimes


class KeyFeed:
    """Lists and watches the Secrets that are API keys.

    A change holds from the next request on. While the API server is away the keys are those it
    told last. Only Secrets with the label are asked for: no others leave the API server.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        ring: KeyRing,
        *,
        times: WatchTimes | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._watch = Watch(
            client,
            SECRETS,
            ring,
            namespace=namespace,
            label_selector=f"{LABEL}=true",
            times=times,
            jitter=jitter,
        )

    @property
    def synced(self) -> asyncio.Event:
        """Set once the keys are known; until then every key is refused."""
        return self._watch.synced

    @property
    def age(self) -> float | None:
        """Seconds since the API server last said something; None before the first list."""
        return self._watch.age

    @property
    def trouble(self) -> str:
        """What keeps the keys from being up to date, "" when nothing does."""
        return self._watch.trouble

    async def run(self) -> None:
        """Go on until cancelled."""
        await self._watch.run()
