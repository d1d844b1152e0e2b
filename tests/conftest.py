"""Fixtures that every layer of the tests may use."""

from tests.support.planes import api, control_plane

__all__ = ["api", "control_plane"]
