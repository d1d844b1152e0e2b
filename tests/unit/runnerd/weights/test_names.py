"""Names of files."""

import pytest

from runnerd.weights.failure import WeightsError
from runnerd.weights.names import safe_name


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".x", "manifest.json", "a\n", "é"])
def test_odd_file_name_is_refused(name: str) -> None:
    """A weights file lies in the artifact's folder and is not one of our own files."""
    with pytest.raises(WeightsError):
        safe_name(name)
