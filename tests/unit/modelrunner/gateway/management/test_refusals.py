"""What the API server's refusals mean to a client."""

import pytest

from modelrunner.gateway.management.refusals import Deed, refused
from modelrunner.kube.errors import KubeError, error_of

RBAC = (
    'models.modelrunner.dev is forbidden: User "system:serviceaccount:a:b" cannot create resource '
    '"models" in API group "modelrunner.dev" in the namespace "ml"'
)
CAUSES = [
    {
        "reason": "FieldManagerConflict",
        "message": 'conflict with "argocd" using v1',
        "field": ".spec.a",
    },
    {"reason": "FieldManagerConflict", "message": "odd", "field": ".spec.b"},
]


def of(status: int, message: str = "words", **more: object) -> KubeError:
    """What the server says."""
    return error_of(status, {"message": message, **more})


@pytest.mark.parametrize(
    ("error", "home", "status", "words"),
    [
        (of(403, RBAC), "ml", 403, "set gateway.management.enabled and rbac.create"),
        (of(403, RBAC), "home", 403, "manages the namespace home (the chart's value gateway.man"),
        (of(403, "exceeded quota"), "ml", 403, "refused to create the Model ml/x: exceeded quota"),
        (of(404, 'namespaces "ml" not found'), "ml", 404, 'namespaces "ml" not found'),
        (of(409), "ml", 409, "somebody else changes the Model ml/x now"),
        (
            of(409, details={"causes": CAUSES}),
            "ml",
            409,
            "spec.a belongs to argocd and spec.b belongs to another manager",
        ),
        (of(422, "spec.aliases: too many"), "ml", 400, "spec.aliases: too many"),
        (of(503, "away"), "ml", 503, "try again: away"),
        (of(429, "slow down"), "ml", 503, "try again"),
        (KubeError(401, "Unauthorized", "who"), "ml", 500, "401 Unauthorized"),
    ],
    ids=range(10),
)
def test_refusals(error: KubeError, home: str, status: int, words: str) -> None:
    """A status and a sentence."""
    told = refused(Deed("create", "ml", "x", home), error)
    assert (told.status, words in told.message) == (status, True), told.message
    assert (told.retry_after is not None) == (status == 503)
