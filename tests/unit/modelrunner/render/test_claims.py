"""The desired cache claim."""

from modelrunner.domain import naming
from modelrunner.render import claims
from tests.unit.modelrunner.domain.settings_of import HTTP, settings_of
from tests.unit.modelrunner.render.rendered import ARTIFACT, OWNER


def test_a_claim_repeats_what_cannot_change() -> None:
    """Of an existing claim the class and the modes are kept, and its size unless it is too small."""
    wish = {"cache": {"storageClassName": "new", "accessMode": "ReadWriteMany", "size": "5Gi"}}
    settings = settings_of(HTTP, wish)
    fresh = claims.claim(settings, ARTIFACT, [], None, complete=False)
    assert fresh["spec"]["storageClassName"] == "new"
    assert "ownerReferences" not in fresh["metadata"]
    assert naming.MODEL_LABEL not in fresh["metadata"]["labels"]
    old = {
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "old",
            "resources": {"requests": {"storage": "1Gi"}},
        }
    }
    kept = claims.claim(settings, ARTIFACT, [OWNER], old, complete=True)
    assert kept["spec"] == old["spec"]
    assert kept["metadata"]["annotations"][naming.COMPLETE_ANNOTATION] == "true"
    assert "controller" not in kept["metadata"]["ownerReferences"][0]


def test_an_empty_class_is_not_the_default_class() -> None:
    """StorageClassName "" means volumes that exist already."""
    found = claims.claim(
        settings_of(HTTP, {"cache": {"storageClassName": ""}}), ARTIFACT, [], None, complete=False
    )
    assert found["spec"]["storageClassName"] == ""
