"""Fixtures that every layer of the tests may use."""

from tests.support.planes import control_plane

__all__ = ["control_plane"]
