"""A name that leads to no model."""

from runnerd.server.dialects import Rejection, reject


def unknown(name: str) -> Rejection:
    """404 in words; clients look for the first ones."""
    text = f"model not found: {name[:200]!r} is not here: list the models, or pull it"
    return reject(404, text, code="model_not_found")
