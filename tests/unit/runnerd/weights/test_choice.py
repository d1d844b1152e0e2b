"""Which files of a repository or a bucket make the model that was asked for."""

import json
import re

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import FileKind, HuggingFaceSource
from runnerd.weights.choice import StoredFile, choose, quantization_of
from runnerd.weights.failure import WeightsError
from tests.support.tensor_models import model_files

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
        (["mmproj-F16.gguf"], {}, "has no GGUF file and no safetensors"),
        ([], {}, "among its 0 files"),
    ],
)
def test_refusals(paths: list[str], asked: dict[str, object], says: str) -> None:
    """The message says what there is."""
    with pytest.raises(WeightsError, match=says.replace(".", r"\.")):
        _chosen(paths, **asked)


@pytest.mark.parametrize(
    ("paths", "asked", "weights"),
    [
        (["model.safetensors"], {}, ["model.safetensors"]),
        (["weights.safetensors", "onnx/model.onnx"], {}, ["weights.safetensors"]),
        (["model.safetensors", "consolidated.safetensors"], {}, ["model.safetensors"]),
        (["m.safetensors", "consolidated.safetensors"], {}, ["m.safetensors"]),
        (["model.safetensors", "adapter_model.safetensors"], {}, ["model.safetensors"]),
        (
            ["model-00002-of-00002.safetensors", "model-00001-of-00002.safetensors"],
            {},
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
        ),
        (
            [f"model-{at}-of-11.safetensors" for at in range(11, 0, -1)],
            {},
            [f"model-{at}-of-11.safetensors" for at in range(1, 12)],
        ),
        (["model.safetensors", "original/model.safetensors"], {}, ["model.safetensors"]),
        (["fp16/model.safetensors", "fp16/config.json"], {}, ["fp16/model.safetensors"]),
        (["a.safetensors", "b.safetensors"], {"files": ("b*",)}, ["b.safetensors"]),
        (["a.safetensors", "b.safetensors"], {"ignored": ("b*",)}, ["a.safetensors"]),
        (["model.safetensors", "m.gguf"], {}, ["m.gguf"]),
        (["model.safetensors", "m.gguf"], {"files": ("*.safetensors",)}, ["model.safetensors"]),
    ],
)
def test_safetensors(paths: list[str], asked: dict[str, object], weights: list[str]) -> None:
    """One model's shards in their order; a copy, an adapter or another folder's are not its own."""
    assert _chosen(paths, **asked) == weights


def test_what_lies_beside_safetensors() -> None:
    """Settings and tokenizer come, under their own names; code, pickles and papers do not."""
    files = [StoredFile(path=path, size=1) for path in (*model_files(), "merges.txt", "a.jinja")]
    chosen = choose(HuggingFaceSource(repository="acme/m"), files, "hf.co/acme/m")
    assert [(name, kind) for name, _, kind in chosen.named()] == [
        ("model.safetensors", FileKind.WEIGHTS),
        ("a.jinja", FileKind.CHAT_TEMPLATE),
        ("config.json", FileKind.CONFIG),
        ("merges.txt", FileKind.CONFIG),
        ("tokenizer.json", FileKind.CONFIG),
        ("tokenizer_config.json", FileKind.CONFIG),
    ]


INDEX = "model.safetensors.index.json"


def _indexed(names: object, there: list[str]) -> list[str]:
    files = [StoredFile(path=path, size=1) for path in (*there, INDEX)]
    chosen = choose(HuggingFaceSource(repository="acme/m"), files, "hf.co/acme/m")
    assert chosen.index is not None
    data = names if isinstance(names, bytes) else json.dumps({"weight_map": names}).encode()
    found = chosen.indexed(data, "hf.co/acme/m")
    assert found.index is None
    return [file.path for file in found.weights]


def test_an_index_says_which_files_are_the_models() -> None:
    """What it does not name is somebody else's, whatever it is called."""
    there = ["a.safetensors", "b.safetensors", "model.safetensors"]
    assert _indexed({"x": "b.safetensors", "y": "a.safetensors", "z": "a.safetensors"}, there) == [
        "a.safetensors",
        "b.safetensors",
    ]


@pytest.mark.parametrize(
    ("names", "says", "reason"),
    [
        ({"x": "c.safetensors"}, "lacks 1 of the 1 files", Reason.PULL_FAILED),
        ({"x": "../a.safetensors"}, "leads out of its folder", Reason.UNSUPPORTED_FORMAT),
        ({"x": "/etc/a.safetensors"}, "leads out of its folder", Reason.UNSUPPORTED_FORMAT),
        ({"x": "b\\a.safetensors"}, "leads out of its folder", Reason.UNSUPPORTED_FORMAT),
        ({"x": "a.py"}, "leads out of its folder", Reason.UNSUPPORTED_FORMAT),
        ({"x": 7}, "leads out of its folder", Reason.UNSUPPORTED_FORMAT),
        ({}, "names no files", Reason.UNSUPPORTED_FORMAT),
        ([], "names no files", Reason.UNSUPPORTED_FORMAT),
        (b"{", "is not JSON", Reason.UNSUPPORTED_FORMAT),
        (b"[" * 100_000, "is not JSON", Reason.UNSUPPORTED_FORMAT),
        (b"[" * (2 << 20), "holds more values", Reason.UNSUPPORTED_FORMAT),
        (
            {str(at): f"{at}.safetensors" for at in range(1001)},
            "is in 1001 files",
            Reason.UNSUPPORTED_FORMAT,
        ),
    ],
)
def test_an_index_that_lies(names: object, says: str, reason: Reason) -> None:
    """An index names files of its folder that are there, and not too many."""
    with pytest.raises(WeightsError, match=says) as caught:
        _indexed(names, ["a.safetensors"])
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("paths", "asked", "says", "reason"),
    [
        (
            ["a.safetensors", "b.safetensors"],
            {},
            "several safetensors models, and no index",
            Reason.PULL_FAILED,
        ),
        (
            ["unet/a.safetensors", "vae/a.safetensors"],
            {},
            "in 2 folders (unet/, vae/)",
            Reason.UNSUPPORTED_FORMAT,
        ),
        (["adapter_model.safetensors"], {}, "a LoRA adapter", Reason.UNSUPPORTED_FORMAT),
        (
            ["model-00001-of-00002.safetensors"],
            {},
            "holds 1 of the 2 parts",
            Reason.PULL_FAILED,
        ),
        (
            ["model-00001-of-00002.safetensors", "model-00003-of-00002.safetensors"],
            {},
            "holds 2 of the 2 parts",
            Reason.PULL_FAILED,
        ),
        (
            ["model.safetensors"],
            {"quantization": "Q4_0"},
            "of which none fits",
            Reason.UNSUPPORTED_FORMAT,
        ),
        (["pytorch_model.bin"], {}, "no GGUF file and no safetensors", Reason.UNSUPPORTED_FORMAT),
        (["../model.safetensors"], {}, "leads out of its folder", Reason.UNSUPPORTED_FORMAT),
        (["a/../../m.gguf"], {}, "leads out of its folder", Reason.UNSUPPORTED_FORMAT),
        (["/etc/m.gguf"], {}, "leads out of its folder", Reason.UNSUPPORTED_FORMAT),
        (["m\n.gguf"], {}, "leads out of its folder", Reason.UNSUPPORTED_FORMAT),
    ],
)
def test_what_is_refused(
    paths: list[str], asked: dict[str, object], says: str, reason: Reason
) -> None:
    """The message says what there is, and hostile paths are never asked for."""
    with pytest.raises(WeightsError, match=re.escape(says)) as caught:
        _chosen(paths, **asked)
    assert caught.value.reason is reason


def test_a_tokenizer_of_absurd_size() -> None:
    """What lies beside the weights is small."""
    files = [
        StoredFile(path="model.safetensors", size=1),
        StoredFile(path="tokenizer.json", size=1 << 30),
    ]
    with pytest.raises(WeightsError, match=r"tokenizer\.json of 1073741824 bytes"):
        choose(HuggingFaceSource(repository="acme/m"), files, "hf.co/acme/m")


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
