"""The gateway's settings: typed, with defaults, and one clear line for each mistake."""

import pytest

from modelrunner.environment import ConfigError
from modelrunner.gateway.settings import GatewaySettings

NEEDED = {"POD_NAMESPACE": "models"}


def test_everything_but_the_namespace_has_a_default() -> None:
    """A gateway without settings is the documented one: port 12434, no keys."""
    settings = GatewaySettings.from_environment(NEEDED)
    assert (settings.port, settings.admin_port, settings.api_keys) == (12434, 8080, False)
    assert settings.watch_namespaces == ()
    assert settings.access_log == 0.0


@pytest.mark.parametrize(
    ("written", "share"), [("off", -1), ("errors", 0), ("ALL", 1), ("0.25", 0.25), ("", 0)]
)
def test_the_access_log_is_a_word_or_a_share(written: str, share: float) -> None:
    """Below zero is off; errors are always told otherwise."""
    given = NEEDED | {"MODELRUNNER_GATEWAY_ACCESS_LOG": written}
    assert GatewaySettings.from_environment(given).access_log == share


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MODELRUNNER_GATEWAY_HTTP_PORT", "70000", "65535"),
        ("MODELRUNNER_GATEWAY_ACCESS_LOG", "some", "off, errors, all"),
        ("MODELRUNNER_GATEWAY_ACCESS_LOG", "nan", "less than or equal"),
        ("MODELRUNNER_GATEWAY_ACCESS_LOG", "2", "less than or equal"),
        ("MODELRUNNER_GATEWAY_API_KEYS", "perhaps", "boolean"),
        ("MODELRUNNER_GATEWAY_MAX_BUFFERED_BYTES", "2000000", "MAX_BODY_BYTES"),
        ("MODELRUNNER_GATEWAY_MAX_BODY", "1", "no such setting"),
        ("MODELRUNNER_GATEWAY_MANAGEMENT", "perhaps", "boolean"),
        ("MODELRUNNER_GATEWAY_MANAGEMENT_NAMESPACE", "Not_One", "pattern"),
        ("MODELRUNNER_GATEWAY_ORIGINS", "chat.example.com", "is not an origin"),
    ],
)
def test_a_bad_value_is_one_line_that_names_its_variable(name: str, value: str, words: str) -> None:
    """The person who deploys sees what to mend."""
    with pytest.raises(ConfigError, match=name) as caught:
        GatewaySettings.from_environment({**NEEDED, name: value})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_service_of_an_unlucky_name_changes_no_setting() -> None:
    """A Service `modelrunner-gateway-http` makes the kubelet set our variable to its address."""
    given = NEEDED | {"MODELRUNNER_GATEWAY_HTTP_PORT": "tcp://10.0.0.1:80"}
    assert GatewaySettings.from_environment(given).port == 12434


def test_models_are_managed_where_the_gateway_looks() -> None:
    """In its own namespace unless another is named; one that is not watched is refused."""
    on = NEEDED | {"MODELRUNNER_GATEWAY_MANAGEMENT": "true"}
    assert not GatewaySettings.from_environment(NEEDED).management
    assert GatewaySettings.from_environment(on).home == "models"
    watched = on | {"MODELRUNNER_WATCH_NAMESPACES": "one,two"}
    named = watched | {"MODELRUNNER_GATEWAY_MANAGEMENT_NAMESPACE": "two"}
    assert GatewaySettings.from_environment(named).home == "two"
    with pytest.raises(ConfigError, match="MANAGEMENT_NAMESPACE: models must be one of"):
        GatewaySettings.from_environment(watched)


def test_lists_are_separated_by_commas() -> None:
    """Origins and registries as their clients write them."""
    given = {
        "MODELRUNNER_GATEWAY_ORIGINS": "https://a.example, http://localhost:*",
        "MODELRUNNER_GATEWAY_MANAGEMENT_INSECURE_REGISTRIES": "localhost:5000,registry.local",
    }
    settings = GatewaySettings.from_environment(NEEDED | given)
    assert settings.origins == ("https://a.example", "http://localhost:*")
    assert settings.insecure_registries == ("localhost:5000", "registry.local")
