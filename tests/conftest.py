"""Fixtures that every layer of the tests may use, and how properties are tried."""

from hypothesis import HealthCheck, settings

from tests.support.planes import api, control_plane

__all__ = ["api", "control_plane"]

# The same examples each time, however slow the machine: a run tells about a change, not about
# luck or load. `pytest --hypothesis-profile=explore` looks for new ones.
settings.register_profile(
    "same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("same")
