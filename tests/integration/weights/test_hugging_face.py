"""`runnerd resolve` and `runnerd pull` of a Hub's repositories, by the Hub's own library."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modelrunner_protocol.reasons import Reason
from modelrunner_protocol.wire import Credentials, FileKind, HuggingFaceSource, Source
from tests.integration.weights.commands import Commands, Ended
from tests.integration.weights.conftest import MIB, SIZE
from tests.support.file_server import Fault, FileServer
from tests.support.gguf_files import MODEL, model
from tests.support.hub import Hub
from tests.support.tensor_models import tensors

NAME = "acme/tiny-GGUF"
Q4, Q8 = model(SIZE), model(SIZE + 4096, seed=2)


@pytest.fixture
async def hub(server: FileServer, commands: Commands) -> AsyncIterator[Hub]:
    """A Hub with one repository, of which `commands` ask."""
    server.files = {}
    async with Hub(server).running() as hub:
        commands.environment["HF_ENDPOINT"] = hub.url
        _ask(commands)
        yield hub


def _ask(commands: Commands, **more: object) -> None:
    source = HuggingFaceSource(**({"repository": NAME} | more))  # type: ignore[arg-type]  # named in each test
    commands.source = Source(hugging_face=source)


def _failed(ended: Ended, says: str, *, reason: Reason = Reason.PULL_FAILED) -> None:
    assert ended.code == 1
    assert says in ended.outcome.message
    assert ended.outcome.reason == reason
    assert "Traceback" not in ended.log


async def test_a_model_is_resolved_then_pulled(hub: Hub, commands: Commands) -> None:
    """The usual quantization, its digest checked, the commit pinned; the header alone resolves it."""
    large = Q4 + bytes(30 * MIB)
    commit = hub.put(NAME, {"tiny-Q8_0.gguf": Q8, "tiny-Q4_K_M.gguf": large, "README.md": b"hello"})
    artifact = (await commands.resolve()).outcome.artifact
    assert artifact is not None
    digest = hashlib.sha256(large).hexdigest()
    assert (artifact.revision, artifact.digest) == (commit, f"sha256:{digest}")
    assert [(file.path, file.size_bytes, file.sha256) for file in artifact.files] == [
        ("model.gguf", len(large), digest)
    ]
    assert hub.store.sent < 4 * MIB
    ended = await commands.pull(expected=artifact)
    assert ended.code == 0, ended.outcome.message
    assert (commands.folder / "model.gguf").read_bytes() == large
    assert ended.outcome.artifact is not None
    assert ended.outcome.artifact.revision == commit


async def test_what_was_resolved_is_pulled_after_the_branch_moved(
    hub: Hub, commands: Commands
) -> None:
    """A pull brings the files of the commit that was resolved."""
    hub.put(NAME, {"tiny-Q4_K_M.gguf": Q4})
    artifact = (await commands.resolve()).outcome.artifact
    hub.put(NAME, {"tiny-Q4_K_M.gguf": Q8})
    assert (await commands.pull(expected=artifact)).code == 0
    assert (commands.folder / "model.gguf").read_bytes() == Q4


async def test_parts_in_a_folder_and_the_best_projector(hub: Hub, commands: Commands) -> None:
    """Shards come in their order under our names, and of projectors the F16 one."""
    parts = [model(SIZE, {**MODEL, "split.no": i, "split.count": 2}, seed=i) for i in range(2)]
    projector = model(4096, {"general.architecture": "clip", "general.type": "mmproj"})
    hub.put(
        NAME,
        {
            "Q8_0/tiny-Q8_0-00002-of-00002.gguf": parts[1],
            "Q8_0/tiny-Q8_0-00001-of-00002.gguf": parts[0],
            "tiny-Q4_K_M.gguf": Q4,
            "mmproj-BF16.gguf": model(4096, seed=3),
            "mmproj-F16.gguf": projector,
        },
    )
    _ask(commands, quantization="q8_0")
    ended = await commands.pull()
    assert ended.code == 0, ended.outcome.message
    assert ended.outcome.artifact is not None
    assert [(file.path, file.kind) for file in ended.outcome.artifact.files] == [
        ("model-00001-of-00002.gguf", FileKind.WEIGHTS),
        ("model-00002-of-00002.gguf", FileKind.WEIGHTS),
        ("model.mmproj", FileKind.PROJECTOR),
    ]
    assert (commands.folder / "model-00001-of-00002.gguf").read_bytes() == parts[0]
    assert (commands.folder / "model.mmproj").read_bytes() == projector


async def test_a_connection_that_breaks_is_resumed_where_it_ended(
    hub: Hub, commands: Commands
) -> None:
    """Each attempt asks the Hub for a fresh address, and only for what is missing."""
    hub.put(NAME, {"tiny-Q4_K_M.gguf": Q4})
    artifact = (await commands.resolve()).outcome.artifact
    hub.store.requests.clear()
    hub.store.faults.extend([Fault(cut_after=MIB), Fault(status=403), Fault(cut_after=MIB)])
    ended = await commands.pull(expected=artifact)
    assert ended.code == 0, ended.outcome.message
    assert hub.store.sent < SIZE + MIB
    assert (commands.folder / "model.gguf").read_bytes() == Q4


async def test_a_token_opens_a_private_repository_and_goes_nowhere_else(
    hub: Hub, commands: Commands, tmp_path: Path
) -> None:
    """The Hub sees the token, the store behind it does not, and no log has it."""
    hub.put(NAME, {"tiny-Q4_K_M.gguf": Q4}, token="hf_secret")
    _failed(await commands.resolve(), "does not exist, is private, or asks for a login")
    (tmp_path / "token").write_text("hf_secret\n")
    commands.credentials = Credentials(secret="hub", folder=str(tmp_path))
    ended = await commands.pull()
    assert ended.code == 0, ended.outcome.message
    assert "hf_secret" not in ended.log
    assert all("authorization" not in one.headers for one in hub.store.requests)
    assert {who for _, who in hub.asked[-2:]} == {"Bearer hf_secret"}


async def test_a_gated_repository_says_what_to_do(
    hub: Hub, commands: Commands, tmp_path: Path
) -> None:
    """Its list is public, its files are not: with and without a token the mend is named."""
    hub.put(NAME, {"tiny-Q4_K_M.gguf": Q4}, token="hf_else", gated=True)
    _failed(await commands.resolve(), "name a Secret with the key `token`")
    (tmp_path / "token").write_text("hf_other")
    commands.credentials = Credentials(secret="hub", folder=str(tmp_path))
    _failed(await commands.resolve(), "not for the holder of the token in the Secret hub")


async def test_a_secret_without_a_token(hub: Hub, commands: Commands, tmp_path: Path) -> None:
    """The message tells the command that makes the Secret."""
    hub.put(NAME, {"tiny-Q4_K_M.gguf": Q4})
    commands.credentials = Credentials(secret="hub", folder=str(tmp_path))
    _failed(await commands.resolve(), "kubectl create secret generic hub --from-literal=token=")


@pytest.mark.parametrize(
    ("asked", "says", "reason"),
    [
        ({"repository": "acme/none"}, "does not exist, is private", Reason.PULL_FAILED),
        ({"revision": "v9"}, "has no revision v9", Reason.PULL_FAILED),
        ({"quantization": "Q2_K"}, "set quantization to one of Q4_K_M, Q8_0", Reason.PULL_FAILED),
        ({"files": ("tiny-*.gguf",)}, "2 models that fit", Reason.PULL_FAILED),
        ({"files": ("none*",)}, "no GGUF model among the files that fit", Reason.PULL_FAILED),
        ({"repository": "acme/st"}, "safetensors", Reason.UNSUPPORTED_FORMAT),
        ({"repository": "acme/up"}, "that leads out of its folder", Reason.UNSUPPORTED_FORMAT),
        ({"repository": "acme/twins"}, "not every volume tells", Reason.UNSUPPORTED_FORMAT),
        ({"repository": "acme/torch"}, "no GGUF file and no", Reason.UNSUPPORTED_FORMAT),
        ({"repository": "../etc"}, "not a repository's name", Reason.INVALID_CONFIGURATION),
    ],
)
async def test_refusals(
    asked: dict[str, object], says: str, reason: Reason, hub: Hub, commands: Commands
) -> None:
    """What cannot be pulled is told in words, with what there is instead."""
    hub.put(NAME, {"tiny-Q8_0.gguf": Q8, "tiny-Q4_K_M.gguf": Q4})
    hub.put("acme/st", {"model.safetensors": b"x" * 100, "config.json": b"{}"})
    hub.put("acme/up", {"../../api/m.gguf": Q4})
    hub.put("acme/twins", {"model.safetensors": tensors(), "a.json": b"{}", "A.json": b"{}"})
    hub.put("acme/torch", {"pytorch_model.bin": b"\x80\x02", "config.json": b"{}"})
    _ask(commands, **asked)
    _failed(await commands.resolve(), says, reason=reason)


@pytest.mark.usefixtures("hub")
async def test_a_hub_that_is_no_address(commands: Commands) -> None:
    """The variable is named; nobody waits for a server that cannot be."""
    commands.environment["HF_ENDPOINT"] = "hub.example.com"
    says = "the variable HF_ENDPOINT holds no http:// or https:// URL"
    _failed(await commands.resolve(), says, reason=Reason.INVALID_CONFIGURATION)


async def test_a_hub_that_is_busy_is_asked_again(hub: Hub, commands: Commands) -> None:
    """503 passes; the resolve waits for it."""
    hub.put(NAME, {"tiny-Q4_K_M.gguf": Q4})
    hub.broken = 2
    ended = await commands.resolve()
    assert ended.code == 0, ended.outcome.message


async def test_a_file_that_is_not_what_the_hub_says(hub: Hub, commands: Commands) -> None:
    """LFS' sha256 is checked: other bytes never get into the cache."""
    hub.put(NAME, {"tiny-Q4_K_M.gguf": Q4})
    artifact = (await commands.resolve()).outcome.artifact
    signed = f"/blobs/{hashlib.sha256(Q4).hexdigest()}"

    def spoil() -> None:
        hub.store.files[signed] = Q4[:-1] + bytes([Q4[-1] ^ 1])

    hub.store.always = Fault(before=spoil)
    _failed(await commands.pull(expected=artifact), "instead of")
    assert not commands.folder.exists()
