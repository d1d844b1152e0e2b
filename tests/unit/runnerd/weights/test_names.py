"""Names of files."""

import pytest

from runnerd.weights.failure import WeightsError
from runnerd.weights.names import leads_out, safe_name


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".x", "manifest.json", "a\n", "é"])
def test_odd_file_name_is_refused(name: str) -> None:
    """A weights file lies in the artifact's folder and is not one of our own files."""
    with pytest.raises(WeightsError):
        safe_name(name)


@pytest.mark.parametrize(
    "path", ["../x", "a/../x", "/x", "\\x", "C:x", "a\0", "a\x7f", "\udcff.gguf"]
)
def test_paths_that_no_file_of_a_source_has(path: str) -> None:
    """They lead elsewhere, or cannot be asked for."""
    assert leads_out(path)
    assert not leads_out("größe/..x/m (1).gguf")
