"""What the loop runs."""

from typing import Protocol, TypeVar

from modelrunner.controller.result import Result

K_contra = TypeVar("K_contra", contravariant=True)


class Reconciler(Protocol[K_contra]):
    """Brings one key's world closer to what its user asked for. Called again until it is."""

    async def reconcile(self, key: K_contra) -> Result:
        """Look, decide, act. Any exception means: again, later, with back-off."""
        ...
