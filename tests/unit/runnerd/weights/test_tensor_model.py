"""What a safetensors model is, by its headers and what lies beside them."""

import io
import json
import tarfile

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import FileKind, WeightsFile
from runnerd.weights import config_archive
from runnerd.weights.failure import WeightsError
from runnerd.weights.safetensors import TensorsHeader
from runnerd.weights.tensor_model import artifact_of, documents, refuse_tensors
from tests.support.tensor_models import CONFIG, TEMPLATE

WEIGHTS = WeightsFile(path="m/model.safetensors", size_bytes=1000)
SETTINGS = json.dumps(CONFIG).encode()


def _beside(name: str, size: int = 10) -> WeightsFile:
    return WeightsFile(path=f"m/{name}", size_bytes=size, kind=FileKind.CONFIG)


def _archive(**files: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"./{name.replace('__', '.')}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("chat_template.jinja")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return target.getvalue()


def test_all_shards_together() -> None:
    """Weights are counted over all of them; the type of most of them is told."""
    headers = [
        TensorsHeader(elements={"BF16": 10**6, "F32": 5}),
        TensorsHeader(elements={"F32": 2 * 10**6}),
    ]
    found = artifact_of(headers, {"m/config.json": SETTINGS}, [WEIGHTS], "x")
    assert (found.parameters, found.quantization) == ("3.00 M", "F32")
    # 4096 tokens of 11520 values, 64 MiB, and a batch of 512 rows of 2 and 64 bytes for each of 4096 tokens and 576 values.
    kept = 4096 * 2 * 2 * 5760 + (64 << 20) + 512 * (2 * 4096 + 64 * 576)
    assert found.memory_bytes == 1000 + kept


def test_without_settings() -> None:
    """The header alone tells the tensors; the weights' own bytes are needed in any case."""
    found = artifact_of([TensorsHeader(elements={"F16": 7})], {}, [WEIGHTS], "x")
    assert (found.architecture, found.context_size) == ("", None)
    assert found.memory_bytes == 1000 + (64 << 20)
    assert (found.parameters, found.quantization) == ("7", "F16")


def test_shapes_tell_what_settings_would() -> None:
    """The estimate of a file alone is that of the same file with its settings."""
    names = [f"model.layers.{at}.self_attn.{one}_proj.weight" for at in range(30) for one in "kv"]
    headers = [
        TensorsHeader(elements={"BF16": 7}, shapes=dict.fromkeys(part, (192, 576)))
        for part in (names[:20], names[20:])
    ]
    alone = artifact_of(headers, {}, [WEIGHTS], "x")
    settled = artifact_of(headers, {"m/config.json": SETTINGS}, [WEIGHTS], "x")
    assert alone.memory_bytes == settled.memory_bytes


def test_a_method_says_more_than_a_type() -> None:
    """Of packed weights their method is told."""
    config = json.dumps({**CONFIG, "quantization_config": {"quant_method": "awq", "bits": 4}})
    found = artifact_of(
        [TensorsHeader(elements={"I32": 9})], {"m/config.json": config.encode()}, [WEIGHTS], "x"
    )
    assert found.quantization == "awq-4bit"


def test_only_small_known_files_are_read() -> None:
    """A tokenizer of megabytes tells nothing that is needed here."""
    names = ("config.json", "tokenizer.json", "chat_template.jinja", "tokenizer_config.json")
    files = [WEIGHTS, *(_beside(name) for name in names)]
    assert [file.path for file in documents(files, "x")] == [
        "m/config.json",
        "m/chat_template.jinja",
        "m/tokenizer_config.json",
    ]
    with pytest.raises(WeightsError, match="of 1073741824 bytes") as caught:
        documents([WEIGHTS, _beside("config.json", 1 << 30)], "x")
    assert caught.value.reason is Reason.UNSUPPORTED_FORMAT


def test_settings_in_an_archive() -> None:
    """They are looked up in it; a link in it leads nowhere, and a file beside it counts more."""
    tokenizer = json.dumps({"chat_template": TEMPLATE}).encode()
    packed = _archive(config__json=SETTINGS, tokenizer_config__json=tokenizer, other=b"x")
    files = [WEIGHTS, _beside(config_archive.NAME, len(packed))]
    assert [file.path for file in documents(files, "x")] == [f"m/{config_archive.NAME}"]
    read = {f"m/{config_archive.NAME}": packed}
    headers = [TensorsHeader(elements={"F16": 7})]
    found = artifact_of(headers, read, files, "x")
    assert (found.architecture, found.abilities) == ("llama", ("tools",))
    own = json.dumps({**CONFIG, "model_type": "own"}).encode()
    assert artifact_of(headers, {**read, "m/config.json": own}, files, "x").architecture == "own"


@pytest.mark.parametrize(
    "packed", [b"", b"x" * 2048, _archive(config__json=SETTINGS)[:700], b"\x1f\x8b" * 600]
)
def test_an_archive_that_is_none(packed: bytes) -> None:
    """It tells nothing, and is no reason to refuse the model."""
    assert "config.json" not in config_archive.unpacked(packed)
    assert documents([_beside(config_archive.NAME, config_archive.LIMIT + 1)], "x") == ()


def test_settings_that_cannot_be_read() -> None:
    """An engine could not read them either."""
    with pytest.raises(WeightsError, match="of x is not JSON") as caught:
        artifact_of([TensorsHeader()], {"m/config.json": b"{"}, [WEIGHTS], "x")
    assert caught.value.reason is Reason.UNSUPPORTED_FORMAT


def test_where_only_gguf_runs() -> None:
    """It is refused with what it is."""
    refuse_tensors([WeightsFile(path="model.gguf", size_bytes=1)], "x", "go on")
    with pytest.raises(WeightsError, match=r"x holds safetensors weights \(1 files, 1000 B\)"):
        refuse_tensors([WEIGHTS, _beside("config.json")], "x", "name another")
