"""Which files of a repository or a bucket make the model that was asked for."""

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import HuggingFaceSource
from runnerd.weights.choice import StoredFile, choose, quantization_of
from runnerd.weights.failure import WeightsError

SHARDS = [f"big-Q8_0-0000{i}-of-00003.gguf" for i in (1, 2, 3)]


def _chosen(paths: list[str], **asked: object) -> list[str]:
    source = HuggingFaceSource(**({"repository": "acme/m"} | asked))  # type: ignore[arg-type]  # named in each test
    files = [StoredFile(path=path, size=1) for path in paths]
    found = choose(source, files, "hf.co/acme/m")
    projector = [found.projector.path] if found.projector else []
    return [file.path for file in found.weights] + projector


@pytest.mark.parametrize(
    ("paths", "asked", "chosen"),
    [
        (["m-Q8_0.gguf", "m-Q4_K_M.gguf"], {}, ["m-Q4_K_M.gguf"]),
        (["m-Q8_0.gguf", "m-F16.gguf"], {}, ["m-F16.gguf"]),
        (["only.gguf", "README.md"], {}, ["only.gguf"]),
        (["M-Q8_0.GGUF"], {"quantization": "q8_0"}, ["M-Q8_0.GGUF"]),
        (["m.Q8_0.gguf", "m.Q4_0.gguf"], {"quantization": "Q4_0"}, ["m.Q4_0.gguf"]),
        (["m-Q4_K_M.gguf", "m-Q4_K_S.gguf"], {"quantization": "Q4_K_S"}, ["m-Q4_K_S.gguf"]),
        (
            ["m-UD-Q4_K_XL.gguf", "m-Q4_K_XL.gguf"],
            {"quantization": "UD-Q4_K_XL"},
            ["m-UD-Q4_K_XL.gguf"],
        ),
        (
            ["Q4_0/weights.gguf", "Q8_0/weights.gguf"],
            {"quantization": "Q8_0"},
            ["Q8_0/weights.gguf"],
        ),
        (["m-Q4_0-pure.gguf", "m-Q8_0.gguf"], {"quantization": "Q4_0"}, ["m-Q4_0-pure.gguf"]),
        ([SHARDS[2], SHARDS[0], SHARDS[1], "m-F16.gguf"], {"quantization": "Q8_0"}, SHARDS),
        (["a.gguf", "b.gguf"], {"files": ("b*",)}, ["b.gguf"]),
        (["a.gguf", "b.gguf"], {"ignored": ("a*",)}, ["b.gguf"]),
        (
            ["m-Q4_K_M.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf"],
            {},
            ["m-Q4_K_M.gguf", "mmproj-F16.gguf"],
        ),
        (["m-Q4_K_M.gguf", "mmproj-model.gguf"], {}, ["m-Q4_K_M.gguf", "mmproj-model.gguf"]),
    ],
)
def test_choice(paths: list[str], asked: dict[str, object], chosen: list[str]) -> None:
    """The quantization that was asked for, else the usual one, else the first; shards in order."""
    assert _chosen(paths, **asked) == chosen


@pytest.mark.parametrize(
    ("paths", "asked", "says"),
    [
        (["m-Q8_0.gguf", "m-F16.gguf"], {"quantization": "Q2_K"}, "one of F16, Q8_0"),
        (["a.gguf"], {"quantization": "Q2_K"}, "one of a.gguf"),
        (
            ["a-Q8_0.gguf", "b-Q8_0.gguf"],
            {"quantization": "Q8_0"},
            "name one in files: a-Q8_0.gguf",
        ),
        (SHARDS[:2], {}, f"lacks 1 of the 3 parts of {SHARDS[0]}: {SHARDS[2]}"),
        (["a.gguf"], {"files": ("x*",)}, "it has a.gguf"),
        (["mmproj-F16.gguf"], {}, "has no GGUF file"),
        ([], {}, "among its 0 files"),
    ],
)
def test_refusals(paths: list[str], asked: dict[str, object], says: str) -> None:
    """The message says what there is."""
    with pytest.raises(WeightsError, match=says.replace(".", r"\.")):
        _chosen(paths, **asked)


def test_safetensors_are_told_as_another_format() -> None:
    """Nobody looks for a file that is not there: the engine cannot run what is."""
    with pytest.raises(WeightsError, match="safetensors") as caught:
        _chosen(["model.safetensors"])
    assert caught.value.reason is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("m-Q4_K_M.gguf", "Q4_K_M"),
        ("m.q8_0.gguf", "Q8_0"),
        ("m-IQ2_XXS.gguf", "IQ2_XXS"),
        ("m-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("m-MXFP4_MOE.gguf", "MXFP4_MOE"),
        ("m-TQ1_0.gguf", "TQ1_0"),
        ("m-BF16-00001-of-00002.gguf", "BF16"),
        ("Qwen3-8B.gguf", ""),
    ],
)
def test_quantization_of_a_name(path: str, found: str) -> None:
    """As the tools that make these files write it."""
    assert quantization_of(path) == found
