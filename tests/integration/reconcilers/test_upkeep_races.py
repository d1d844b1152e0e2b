"""Models that come in the middle of the last look at a cache."""

from typing import Any

import pytest

from modelrunner.kube.client import KubeClient
from modelrunner.kube.resources import PODS, Resource
from tests.integration.reconcilers.bench import Bench, written
from tests.integration.reconcilers.test_upkeep import (
    MODEL,
    abandoned,
    claims,
    runner_once,
)
from tests.support.kubeapi import Object

pytestmark = pytest.mark.control_plane


async def test_a_model_in_the_middle_of_the_last_look(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models are asked for last: one that came while pods were listed keeps its cache."""
    await abandoned(bench, {"ttl": "1h"})
    bench.offset += 3700
    real = KubeClient.list
    deleting: list[Resource] = []

    async def listed(self: KubeClient, resource: Resource, *where: Any, **how: Any) -> list[Object]:
        found: list[Object] = await real(self, resource, *where, **how)
        # The watch's own lists name a label; the last look asks for the pods of strangers, too.
        if resource == PODS and not how.get("label_selector") and not deleting:
            deleting.append(resource)
            bench.put("Model", "again", MODEL)
        return found

    monkeypatch.setattr(KubeClient, "list", listed)
    await runner_once(bench)
    assert deleting
    assert len(claims(bench)) == 1
    before = written("create", "jobs")
    model = await bench.until_still("again")
    assert model["status"]["conditions"][1]["reason"] == "Cached"
    assert written("create", "jobs") == before
