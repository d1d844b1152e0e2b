"""Requests that were sent to a running Docker Model Runner, sent to `runnerd serve`.

The tables say what Docker Model Runner answered, and where and why ours is another answer.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import httpx
import pytest

from tests.cluster.errors import ClusterError
from tests.cluster.waiting import wait_until
from tests.integration.runnerd_serve_dmr.recorded import Row
from tests.integration.runnerd_serve_dmr.rows_engines import ENGINES, USED
from tests.integration.runnerd_serve_dmr.rows_inference import INFERENCE, MESSAGES_ROWS
from tests.integration.runnerd_serve_dmr.rows_ollama import OLLAMA_ROWS
from tests.integration.runnerd_serve_dmr.rows_pull import PULLS
from tests.integration.runnerd_serve_dmr.rows_server import MODELS, SERVER
from tests.support.registry_process import RegistryProcess
from tests.support.serving import Serving

pytestmark = pytest.mark.engine


def _replay(server: Serving, rows: Sequence[Row], **places: str) -> None:
    """Send them in their order; all that are answered otherwise are told."""
    wrong = []
    with server.http as http:
        for row in rows:
            try:
                if row.soon:
                    _await(row, http, places)
                row.check(row.ask(http, **places))
            except AssertionError as error:
                wrong.append(str(error).partition("\nassert")[0])
    assert not wrong, "\n".join(wrong)


def _await(row: Row, http: httpx.Client, places: Mapping[str, str]) -> None:
    def fits() -> bool:
        try:
            row.check(row.ask(http, **places))
        except AssertionError:
            return False
        return True

    # What is wrong then is told by the check.
    with suppress(ClusterError):
        wait_until(f"row {row.number}", fits, seconds=120)


def test_server(server: Serving) -> None:
    """Probes, paths that are not there, web pages."""
    _replay(server, SERVER)


def test_models(server: Serving) -> None:
    """Lists and names of models, tags, what is wrong with them."""
    _replay(server, MODELS)


def test_engines(server: Serving) -> None:
    """What runs, how it is to run, and that it runs no more."""
    _replay(server, ENGINES)


def test_openai(server: Serving) -> None:
    """Chats, completions, embeddings, ranks, responses, and what is told of them then."""
    _replay(server, (*INFERENCE, *USED))


def test_anthropic(server: Serving) -> None:
    """Messages."""
    _replay(server, MESSAGES_ROWS)


def test_ollama(server: Serving) -> None:
    """Chats, lists, loading and unloading in Ollama's words."""
    _replay(server, OLLAMA_ROWS)


def test_pulls(server: Serving, registry: RegistryProcess) -> None:
    """A model that the server itself pushed comes back, line by line, and goes."""
    name = registry.reference("ai/smollm2")
    with server.http as http:
        assert http.post("/models/ai/smollm2/tag", params={"repo": name, "tag": "alt"}).is_success
        pushed = http.post(f"/models/{name}:alt/push", headers={"Accept": "application/json"})
        assert '"Model pushed successfully"' in pushed.text
        for tag in (f"{name}:alt", "ai/smollm2:latest"):
            assert http.delete(f"/models/{tag}").is_success
    _replay(server, PULLS, registry=registry.address)


def test_every_request_is_sent() -> None:
    """None of the recording is left out, and none is sent twice."""
    tables = (SERVER, MODELS, ENGINES, USED, INFERENCE, MESSAGES_ROWS, OLLAMA_ROWS, PULLS)
    numbers = sorted(row.number for table in tables for row in table)
    assert numbers == list(range(1, 164))
