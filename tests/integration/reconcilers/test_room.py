"""Volumes that are full in the middle of a pull, and claims that are deleted to have larger ones."""

from dataclasses import replace

import pytest

from modelrunner.domain.growth import GROWTHS
from modelrunner.domain.sizing import needed_bytes
from tests.integration.reconcilers.bench import Bench, condition
from tests.integration.reconcilers.test_growth import (
    FULL,
    GI,
    MI,
    NEEDED,
    asked,
    bound,
    cached,
    pulling,
    pulls,
)
from tests.integration.reconcilers.test_upkeep import claims, events, let_go
from tests.support.pod_statuses import ARTIFACT

pytestmark = pytest.mark.control_plane


async def test_a_volume_that_is_full_in_the_middle_of_a_file(bench: Bench) -> None:
    """Nobody knows how much it lacks: it grows by half, a few times, and then people are asked."""
    await pulling(bench, "1Gi")
    full = replace(FULL, missing_bytes=0)
    # The pull was made before the volume came, which is larger: it has that now.
    bench.end_pod("pull", full, exit_code=1)
    await bench.until_still("m")
    sizes = [1024]
    for _ in range(GROWTHS):
        bench.end_pod("pull", full, exit_code=1)
        await bench.until_still("m")
        sizes.append(int(asked(bench).removesuffix("Mi")))
        assert sizes[-1] == sizes[-2] * 3 // 2
        bound(bench, asked(bench))
        await bench.until_still("m")
    bench.end_pod("pull", full, exit_code=1)
    model = await bench.until_still("m")
    reason, message = cached(model)
    assert reason == "CacheTooSmall"
    assert f"has grown {GROWTHS} times" in message
    assert condition(model, "Stalled") is not None
    assert asked(bench) == f"{sizes[-1]}Mi"
    notes = events(bench, "CacheGrows")
    assert len(notes) == GROWTHS
    assert any("from 1.5 GiB to 2.2 GiB: the volume at /models is too full" in one for one in notes)


async def test_a_claim_that_is_deleted_to_have_a_larger_one(bench: Bench) -> None:
    """As the message says: the new one has the size that is needed, and its pull does not wait."""
    await pulling(bench, NEEDED, grows=False)
    bench.end_pod("pull", FULL, exit_code=1)
    await bench.until_still("m")
    (first,) = pulls(bench)
    (old,) = claims(bench)
    bench.api.delete("v1", "PersistentVolumeClaim", old["metadata"]["name"], bench.namespace)
    let_go(bench, old["metadata"]["name"])
    model = await bench.until_still("m")
    assert cached(model)[0] == "Pulling"
    assert int(asked(bench).removesuffix("Mi")) * MI >= needed_bytes(ARTIFACT.size_bytes) + GI
    assert claims(bench)[0]["metadata"]["uid"] != old["metadata"]["uid"]
    assert first not in pulls(bench)
