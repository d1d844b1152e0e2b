"""A real registry: what `runnerd package` pushes, `runnerd pull` pulls, logged in or not."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from modelrunner_protocol.wire import Credentials
from tests.integration.weights.commands import Commands
from tests.integration.weights.conftest import MIB, SIZE
from tests.integration.weights.oci_commands import failed, package, serve, source
from tests.support.file_server import Fault, FileServer
from tests.support.gguf_files import MODEL, model
from tests.support.oci_files import GGUF, OciFiles
from tests.support.registry_process import (
    PASSWORD,
    USER,
    RegistryProcess,
    basic_auth,
    docker_config,
    running_registry,
)
from tests.support.token_server import TokenServer

WEIGHTS = model(SIZE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a model in it."""
    (tmp_path / "model.gguf").write_bytes(WEIGHTS)
    return tmp_path


@pytest.fixture
def guarded(folder: Path) -> Iterator[RegistryProcess]:
    """A registry that wants a name and a password."""
    with running_registry(folder, auth=basic_auth(folder)) as registry:
        yield registry


@pytest.fixture
async def tokens(folder: Path) -> AsyncIterator[TokenServer]:
    """A token server."""
    async with TokenServer(folder).running() as server:
        yield server


@pytest.fixture
def ticketed(folder: Path, tokens: TokenServer) -> Iterator[RegistryProcess]:
    """A registry that believes the token server."""
    with running_registry(folder, auth=tokens.auth) as registry:
        yield registry


async def pushed(folder: Path, registry: RegistryProcess, name: str = "team/model:v1") -> str:
    """Push the model, logged in; the artifact's digest."""
    docker_config(folder / "docker", registry.address)
    reference = registry.reference(name)
    code, answer, log = await package(
        folder, folder / "model.gguf", "--push", reference, "--insecure"
    )
    assert code == 0, log
    found: str = json.loads(answer)["digest"]
    return found


def _use(commands: Commands, registry: RegistryProcess, config: Path | None) -> None:
    commands.source = source(registry.reference("team/model:v1"))
    commands.credentials = Credentials(secret="pull", folder=str(config)) if config else None


async def test_open_registry(folder: Path, commands: Commands) -> None:
    """Pushed and pulled by tag and by digest; the second push uploads nothing."""
    with running_registry(folder) as registry:
        digest = await pushed(folder, registry)
        assert await pushed(folder, registry) == digest
        for name in ("team/model:v1", f"team/model@{digest}"):
            commands.source = source(registry.reference(name))
            commands.key = f"0123456789abcde{len(name) % 10}"
            resolved = (await commands.resolve()).outcome.artifact
            assert resolved is not None
            ended = await commands.pull(expected=resolved)
            assert ended.code == 0, ended.outcome.message
            assert ended.outcome.artifact == resolved
            assert resolved.digest == digest
            assert (commands.folder / "model.gguf").read_bytes() == WEIGHTS


async def test_https_is_spoken_unless_told_otherwise(folder: Path, commands: Commands) -> None:
    """A registry over plain http is not read from, and the message names the switch."""
    with running_registry(folder) as registry:
        _use(commands, registry, None)
        assert commands.source is not None
        object.__setattr__(commands.source.oci, "insecure", False)
        failed(await commands.resolve(), "set spec.source.oci.insecure to true")


async def test_basic_login(folder: Path, guarded: RegistryProcess, commands: Commands) -> None:
    """The Secret's name and password open a registry with basic authentication."""
    await pushed(folder, guarded)
    _use(commands, guarded, folder / "docker")
    assert (await commands.pull()).code == 0
    assert (commands.folder / "model.gguf").read_bytes() == WEIGHTS


async def test_no_login(guarded: RegistryProcess, commands: Commands) -> None:
    """Without a Secret the message says which field to set; trying again would not help."""
    _use(commands, guarded, None)
    failed(await commands.resolve(), "in spec.source.credentialsSecret")


async def test_login_for_somebody_else(
    folder: Path, guarded: RegistryProcess, commands: Commands
) -> None:
    """A Secret without this registry is told with what it has; it may be mended."""
    _use(commands, guarded, docker_config(folder / "docker", "elsewhere.example.com"))
    ended = await commands.resolve()
    failed(ended, f"the Secret pull holds no credentials for {guarded.address}", retryable=True)
    assert "but for elsewhere.example.com" in ended.outcome.message


async def test_wrong_password(folder: Path, guarded: RegistryProcess, commands: Commands) -> None:
    """A wrong password is told with the user and the Secret, and never shown."""
    wrong = docker_config(folder / "docker", guarded.address, password="hunter2")
    _use(commands, guarded, wrong)
    ended = await commands.resolve()
    failed(ended, f"(401) to {USER}: check", retryable=True)
    assert "the Secret pull" in ended.outcome.message
    assert "hunter2" not in ended.outcome.message + ended.log


SECRETS = {
    "missing": (None, "there is no Secret pull in this namespace"),
    "not JSON": (b"password", "does not hold a docker config.json"),
    "a list": (b"[]", "does not hold a docker config.json"),
    "empty": (b"", "does not hold a docker config.json"),
    "a list of logins": (b'{"auths":[]}', "does not hold a docker config.json"),
    "text for a login": (b'{"auths":{"h":"x"}}', "does not hold a docker config.json"),
    "no auths": (b"{}", "does not hold a docker config.json"),
    "a broken login": (b'{"auths":{"h":{"auth":"!!"}}}', "does not hold a docker config.json"),
}


@pytest.mark.parametrize(("content", "says"), SECRETS.values(), ids=SECRETS)
async def test_broken_secret(
    content: bytes | None, says: str, folder: Path, commands: Commands
) -> None:
    """A Secret that is missing or malformed is told before anybody is asked, and may be mended."""
    config = folder / "secret"
    config.mkdir()
    if content is not None:
        (config / "config.json").write_bytes(content)
    commands.source = source("127.0.0.1:1/team/model:v1")
    commands.credentials = Credentials(secret="pull", folder=str(config))
    failed(await commands.resolve(), says, retryable=True)


async def test_token_login(
    folder: Path, tokens: TokenServer, ticketed: RegistryProcess, commands: Commands
) -> None:
    """A token is asked for once, for this repository and no more than reading it."""
    await pushed(folder, ticketed)
    tokens.requests.clear()
    _use(commands, ticketed, folder / "docker")
    ended = await commands.pull()
    assert ended.code == 0, ended.outcome.message
    assert tokens.requests == [(USER, "repository:team/model:pull")]


async def test_public_repository(
    folder: Path, tokens: TokenServer, ticketed: RegistryProcess, commands: Commands
) -> None:
    """Without a Secret an anonymous token reads what is public, and nothing else."""
    await pushed(folder, ticketed)
    _use(commands, ticketed, None)
    failed(await commands.resolve(), "in spec.source.credentialsSecret")
    tokens.public.add("team/model")
    assert (await commands.pull()).code == 0


async def test_identity_token(
    folder: Path, tokens: TokenServer, ticketed: RegistryProcess, commands: Commands
) -> None:
    """What `docker login` leaves with some clouds, an identity token, is exchanged by POST."""
    await pushed(folder, ticketed)
    config = {"auths": {ticketed.address: {"identitytoken": PASSWORD}}}
    (folder / "docker" / "config.json").write_text(json.dumps(config))
    _use(commands, ticketed, folder / "docker")
    assert (await commands.pull()).code == 0


async def test_token_that_expires_in_the_middle(
    server: FileServer, folder: Path, tokens: TokenServer, commands: Commands
) -> None:
    """When a token ends between two requests, a new one is asked for, and the pull resumes."""
    files = OciFiles([(GGUF, WEIGHTS, "")])
    serve(server, commands, files)
    resolved = (await commands.resolve()).outcome.artifact
    config = docker_config(folder / "docker", f"127.0.0.1:{server.port}")
    commands.credentials = Credentials(secret="pull", folder=str(config))
    expired = Fault(status=401, headers={"WWW-Authenticate": tokens.challenge})
    server.faults.extend([expired, Fault(cut_after=MIB), expired])
    server.requests.clear()
    ended = await commands.pull(expected=resolved)
    assert (ended.code, ended.outcome.downloaded_bytes) == (0, SIZE), ended.outcome.message
    assert tokens.requests == [(USER, "repository:team/model:pull")] * 2
    sent = [request.headers.get("authorization", "") for request in server.requests]
    assert [bool(text) for text in sent] == [False, True, True, True]
    assert [request.headers.get("range") for request in server.requests] == [
        None,
        None,
        f"bytes={MIB}-",
        f"bytes={MIB}-",
    ]


async def test_token_that_comes_in_pieces(server: FileServer, commands: Commands) -> None:
    """A token server that is slow to write its answer is read to its end."""
    files = OciFiles([(GGUF, WEIGHTS, "")])
    serve(server, commands, files)
    token = json.dumps({"token": "t" * 300, "expires_in": 300}).encode()
    async with FileServer({"/token": token}).running() as slow:
        slow.always = Fault(pace=2000)
        challenge = f'Bearer realm="{slow.url("/token")}"'
        server.faults.append(Fault(status=401, headers={"WWW-Authenticate": challenge}))
        ended = await commands.resolve()
    assert ended.code == 0, ended.outcome.message
    assert server.requests[1].headers["authorization"] == "Bearer " + "t" * 300


REALMS = {
    "a file": 'Bearer realm="file:///etc/passwd"',
    "nothing": "Bearer",
    "no URL": 'Bearer realm="http://[::1"',
    "a method that nobody has": "Negotiate",
    "no challenge": None,
}


@pytest.mark.parametrize("challenge", REALMS.values(), ids=REALMS)
async def test_challenge_that_cannot_be_met(
    challenge: str | None, server: FileServer, commands: Commands
) -> None:
    """A 401 that leads nowhere ends in a sentence, at once."""
    serve(server, commands, OciFiles([(GGUF, WEIGHTS, "")]))
    server.always = Fault(status=401, headers={"WWW-Authenticate": challenge})
    ended = await commands.resolve()
    assert ended.code == 1
    assert "the registry 127.0.0.1" in ended.outcome.message
    assert len(server.requests) == 1


async def test_credentials_stay_with_the_registry(
    server: FileServer, folder: Path, tokens: TokenServer, commands: Commands
) -> None:
    """Over a redirect to another host the range is kept, and the token is not."""
    files = OciFiles([(GGUF, WEIGHTS, "")])
    serve(server, commands, files)
    challenged = Fault(status=401, headers={"WWW-Authenticate": tokens.challenge})
    async with FileServer({"/signed": WEIGHTS}).running() as store:
        location = {"Location": store.url("/signed")}
        server.by_path[files.path(WEIGHTS)] = Fault(status=307, headers=location)
        server.faults.append(challenged)
        tokens.public.add("team/model")
        assert (await commands.resolve()).code == 0
        asked = [request.headers.get("authorization", "") for request in server.requests]
        assert [text[:7] for text in asked] == ["", "Bearer ", "Bearer ", "Bearer "]
        assert [request.headers.get("range") for request in store.requests] == ["bytes=0-2097151"]
        assert all("authorization" not in request.headers for request in store.requests)


async def test_token_server_that_is_busy(
    folder: Path, tokens: TokenServer, ticketed: RegistryProcess, commands: Commands
) -> None:
    """A token server that answers 503 is asked again, and named when it stays ill."""
    await pushed(folder, ticketed)
    _use(commands, ticketed, folder / "docker")
    tokens.status = 503
    commands.environment["RUNNERD_RESOLVE_TIMEOUT"] = "6s"
    failed(
        await commands.resolve(),
        "the token server 127.0.0.1: the server answered 503",
        retryable=True,
    )
    assert len(tokens.requests) > 1


async def test_damaged_storage(folder: Path, commands: Commands) -> None:
    """Bytes that rot in the registry's storage never get into the cache."""
    with running_registry(folder) as registry:
        await pushed(folder, registry)
        _use(commands, registry, None)
        resolved = (await commands.resolve()).outcome.artifact
        assert resolved is not None
        with registry.blob(f"sha256:{resolved.files[0].sha256}").open("r+b") as file:
            file.seek(SIZE - 1)
            file.write(b"\0" if WEIGHTS[-1:] != b"\0" else b"\1")
        failed(await commands.pull(expected=resolved), "damaged", retryable=True)
    assert not commands.folder.exists()


async def test_package_is_the_same_every_time(folder: Path, commands: Commands) -> None:
    """Same files, same digest, wherever and whenever; the folder is an OCI image layout."""
    answers = []
    for name in ("a", "b"):
        code, answer, log = await package(folder, folder / "model.gguf", "--output", folder / name)
        assert code == 0, log
        answers.append(json.loads(answer))
    assert answers[0] == answers[1]
    digest = answers[0]["digest"]
    index = json.loads((folder / "b" / "index.json").read_text())
    assert [entry["digest"] for entry in index["manifests"]] == [digest]
    files = {p.relative_to(folder / "b"): p for p in (folder / "b").rglob("*") if p.is_file()}
    for relative, path in files.items():
        assert (folder / "a" / relative).read_bytes() == path.read_bytes()
    manifest = json.loads((folder / "b" / "blobs/sha256" / digest[7:]).read_text())
    config = json.loads(
        (folder / "b" / "blobs/sha256" / manifest["config"]["digest"][7:]).read_text()
    )
    assert config["config"] == {
        "format": "gguf",
        "quantization": "Q4_1",
        "parameters": "1.05 M",
        "architecture": "llama",
        "size": "4.01 MiB",
        "context_size": 2048,
    }
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]


async def test_package_with_all_that_belongs_to_it(folder: Path, commands: Commands) -> None:
    """Shards, projector, template and license, pushed and pulled back."""
    parts = [folder / f"m-0000{i}-of-00002.gguf" for i in (1, 2)]
    for i, part in enumerate(parts):
        part.write_bytes(model(65536, {**MODEL, "split.no": i, "split.count": 2}, seed=i))
    (folder / "p.gguf").write_bytes(model(4096, {"general.type": "mmproj"}))
    (folder / "t.jinja").write_text("{{ messages }}")
    (folder / "LICENSE").write_text("MIT")
    with running_registry(folder) as registry:
        reference = registry.reference("team/model:v1")
        beside: list[str | Path] = [
            "--mmproj",
            folder / "p.gguf",
            "--chat-template",
            folder / "t.jinja",
        ]
        beside += ["--license", folder / "LICENSE", "--push", reference, "--insecure"]
        code, _, log = await package(folder, *parts, *beside)
        assert code == 0, log
        commands.source = source(reference)
        ended = await commands.pull()
    assert ended.code == 0, ended.outcome.message
    assert sorted(path.name for path in commands.folder.iterdir()) == [
        "LICENSE",
        "manifest.json",
        "model-00001-of-00002.gguf",
        "model-00002-of-00002.gguf",
        "model.mmproj",
        "template.jinja",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.gguf"], "is not there, or is no file"),
        (["page.html"], "is not a GGUF file"),
        (["part.gguf"], "part 1 of 2"),
        (["model.gguf", "--push", "https://h/x"], "is no reference"),
        (["model.gguf", "--push", "127.0.0.1:1/team/model:v1", "--insecure"], "does not answer"),
    ],
)
async def test_package_that_cannot_be_made(arguments: list[str], says: str, folder: Path) -> None:
    """What is wrong is said in one line, and nothing is pushed."""
    (folder / "page.html").write_text("<html>")
    (folder / "part.gguf").write_bytes(model(4096, {**MODEL, "split.no": 0, "split.count": 2}))
    code, answer, log = await package(folder, folder / arguments[0], *arguments[1:])
    assert (code, answer) == (1, "")
    assert says in log
    assert "Traceback" not in log


async def test_push_without_login(folder: Path, guarded: RegistryProcess) -> None:
    """A registry that wants a login says so."""
    reference = guarded.reference("team/model:v1")
    code, _, log = await package(folder, folder / "model.gguf", "--push", reference, "--insecure")
    assert code == 1
    assert "does not give access to team/model (401)" in log
