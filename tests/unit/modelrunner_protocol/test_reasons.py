"""The reasons of conditions."""

import re

from modelrunner_protocol.reasons import PROGRESSING, Reason


def test_reasons_fit_into_conditions() -> None:
    """Kubernetes wants CamelCase words of at most 1024 letters."""
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", reason) for reason in Reason)


def test_progressing_reasons_need_nobody() -> None:
    """What passes by itself is no failure."""
    assert {"Resolving", "Pulling", "Starting", "Terminating"} == PROGRESSING
    assert Reason.PULL_FAILED not in PROGRESSING
