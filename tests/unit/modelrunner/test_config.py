"""The operator's settings: typed, with defaults, and one clear line for each mistake."""

import pytest

from modelrunner.config import ConfigError, OperatorSettings

NEEDED = {"POD_NAMESPACE": "models"}


def test_everything_but_the_namespace_has_a_default() -> None:
    """What the chart does not set is sensible."""
    settings = OperatorSettings.from_environment(NEEDED)
    assert settings.pod_namespace == "models"
    assert settings.watch_namespaces == ()
    assert (settings.workers, settings.resync_seconds, settings.http_port) == (16, 300, 8080)
    assert settings.lease_name == "model-runner-operator"
    assert settings.runner_image.startswith("ghcr.io/model-runner-operator/runner")


def test_values_are_read_and_empty_ones_count_as_not_set() -> None:
    """A chart writes empty strings for what is not configured."""
    settings = OperatorSettings.from_environment(
        {
            **NEEDED,
            "MODELRUNNER_WATCH_NAMESPACES": " a, b ,",
            "MODELRUNNER_LOG_LEVEL": "debug",
            "MODELRUNNER_WORKERS": "",
            "MODELRUNNER_RUNNER_IMAGE": "localhost/model-runner:test",
            "PATH": "/bin",
        }
    )
    assert settings.watch_namespaces == ("a", "b")
    assert settings.log_level == "DEBUG"
    assert settings.workers == 16
    assert settings.runner_image == "localhost/model-runner:test"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MODELRUNNER_WORKERS", "many", "valid integer"),
        ("MODELRUNNER_WORKERS", "0", "greater than or equal to 1"),
        ("MODELRUNNER_HTTP_PORT", "70000", "65535"),
        ("MODELRUNNER_WATCH_NAMESPACES", "a,B_", "pattern"),
        ("MODELRUNNER_LOG_LEVEL", "loud", "DEBUG"),
        ("MODELRUNNER_RUNNER_IMAGE_PULL_POLICY", "Sometimes", "IfNotPresent"),
        ("MODELRUNNER_LEASE_SECONDS", "5", "greater than the next"),
        ("MODELRUNNER_RESYNC_SECONDS", "nan", "MODELRUNNER_RESYNC_SECONDS"),
        ("MODELRUNNER_WORKER", "3", "no such setting"),
    ],
)
def test_a_bad_value_is_one_line_that_names_its_variable(name: str, value: str, words: str) -> None:
    """The person who deploys sees what to mend."""
    with pytest.raises(ConfigError, match=name) as caught:
        OperatorSettings.from_environment({**NEEDED, name: value})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_namespace_is_told() -> None:
    """Without it there is no place for the lease."""
    with pytest.raises(ConfigError, match="POD_NAMESPACE: must be set"):
        OperatorSettings.from_environment({})


def test_service_links_are_not_taken_for_settings() -> None:
    """A Service named modelrunner-metrics makes the kubelet set such variables."""
    OperatorSettings.from_environment(
        {
            **NEEDED,
            "MODELRUNNER_METRICS_SERVICE_HOST": "10.0.0.1",
            "MODELRUNNER_METRICS_SERVICE_PORT_HTTP": "80",
            "MODELRUNNER_METRICS_PORT_80_TCP_ADDR": "10.0.0.1",
        }
    )
