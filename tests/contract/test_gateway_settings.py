"""docs/reference/gateway-settings.md tells every setting of the gateway and its default."""

import re

from modelrunner.gateway.settings import GatewaySettings
from tests.cluster.settings import ROOT

PAGE = (ROOT / "docs/reference/gateway-settings.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| `([A-Z_]+)` \| `?([^|`]+?)`? \|", PAGE, re.MULTILINE))
# No default, or one that reads better in a word.
WORDS = {
    "POD_NAMESPACE": "none, must be set",
    "MODELRUNNER_WATCH_NAMESPACES": "all",
    "MODELRUNNER_GATEWAY_ORIGINS": "none",
    "MODELRUNNER_GATEWAY_MANAGEMENT_NAMESPACE": "POD_NAMESPACE",
    "MODELRUNNER_GATEWAY_MANAGEMENT_INSECURE_REGISTRIES": "none",
}


def test_every_setting_is_told_with_its_default() -> None:
    """What the page says is what a process does that is told nothing else."""
    assert set(ROWS) == {field.alias for field in GatewaySettings.model_fields.values()}
    told = {name: value for name, value in ROWS.items() if WORDS.get(name) != value}
    plain = {"POD_NAMESPACE": "models"}
    assert GatewaySettings.from_environment(told | plain) == (
        GatewaySettings.from_environment(plain)
    )
    assert set(ROWS) - set(told) == set(WORDS)
