"""Manifests and configs from strangers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runnerd.weights.failure import WeightsError
from runnerd.weights.oci import documents, media
from runnerd.weights.oci.documents import Config, Descriptor, Manifest
from runnerd.weights.oci.layers import files_of
from tests.support.oci_files import GGUF, OciFiles, descriptor

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["config", "layers", "mediaType", "digest", "size", "annotations", "x"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


def test_manifest() -> None:
    """Config and layers, with what is said of them."""
    files = OciFiles([(GGUF, b"weights", "a/m.gguf")])
    found = documents.read_manifest(files.manifest_bytes, "", "w")
    assert isinstance(found, Manifest)
    assert found.config.media_type == media.CONFIG_V1
    (layer,) = found.layers
    assert (layer.size, layer.annotations) == (7, {media.FILE_PATH: "a/m.gguf"})


@given(_JSON)
def test_any_manifest_is_read_or_refused(found: Any) -> None:
    """Whatever the JSON is, the only error is ours; what is read has safe digests and sizes."""
    base = {"schemaVersion": 2, "config": descriptor("c", b"")}
    whole = base | found if isinstance(found, dict) else base | {"layers": found}
    try:
        read = documents.read_manifest(json.dumps(whole).encode(), media.MANIFEST, "w")
    except WeightsError:
        return
    layers = read.layers if isinstance(read, Manifest) else read
    assert all(layer.size >= 0 and len(layer.sha256) == 64 for layer in layers)


@given(st.binary(max_size=100))
def test_any_bytes_are_refused(data: bytes) -> None:
    """Bytes that are no manifest are UnsupportedFormat."""
    with pytest.raises(WeightsError):
        documents.read_manifest(data, "", "w")


@given(st.text(max_size=60), st.sampled_from([GGUF, media.RAW_WEIGHTS, media.LICENSE]))
def test_any_path_makes_a_name_of_ours(path: str, kind: str) -> None:
    """Whatever path an artifact names, files get names that nobody else chose."""
    layers = (
        Descriptor(media_type=GGUF, digest="sha256:" + "a" * 64, size=1),
        Descriptor(
            media_type=kind,
            digest="sha256:" + "b" * 64,
            size=1,
            annotations={media.FILE_PATH: path},
        ),
    )
    manifest = Manifest(Descriptor(media_type="", digest="", size=0), layers)
    try:
        files = files_of(manifest, Config(format="gguf", parameters=""), "w")
    except WeightsError:
        return
    parts = {"model-00001-of-00002.gguf", "model-00002-of-00002.gguf"}
    assert {file.path for file in files} <= {"model.gguf", "LICENSE", "model.mmproj"} | parts


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, Config("", "")),
        ({"config": {"format": "GGUF", "parameters": "1 B"}}, Config("gguf", "1 B")),
        ({"config": {"format": "gguf", "paramSize": "8b"}}, Config("gguf", "8b")),
        ({"config": {"format": ["gguf"], "parameters": "x" * 99}}, Config("", "")),
        ({"config": {"format": "a\nb", "parameters": 8}}, Config("", "")),
        ({"config": []}, Config("", "")),
    ],
)
def test_config(data: dict[str, Any], expected: Config) -> None:
    """Docker's and CNCF's words; what is no short word is nothing."""
    assert documents.read_config(json.dumps(data).encode(), "w") == expected
