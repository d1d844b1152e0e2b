"""Requests that were sent to a running Docker Model Runner, sent to the gateway.

The tables are those of `runnerd serve`; `differences` says where the gateway answers otherwise.
"""

from collections.abc import Iterable

import pytest

from tests.integration.gateway_dmr.differences import DIFFERENT, at_gateway
from tests.integration.gateway_dmr.served import EMBEDDER, RANKER, Served
from tests.integration.runnerd_serve_dmr.recorded import Row
from tests.integration.runnerd_serve_dmr.rows_engines import ENGINES, USED
from tests.integration.runnerd_serve_dmr.rows_inference import INFERENCE, MESSAGES_ROWS
from tests.integration.runnerd_serve_dmr.rows_ollama import OLLAMA_ROWS
from tests.integration.runnerd_serve_dmr.rows_pull import PULLS
from tests.integration.runnerd_serve_dmr.rows_server import MODELS, SERVER

pytestmark = [pytest.mark.engine, pytest.mark.control_plane]

_EMBEDS = frozenset({94, 95, 147, 148})
_RANKS = frozenset({97, 98, 99})
_NOWHERE = frozenset({27, 149})


def _replay(served: Served, rows: Iterable[Row], **places: str) -> None:
    """Send them in their order; all that are answered otherwise are told."""
    wrong = []
    with served.http as http:
        for row in rows:
            try:
                row.check(row.ask(http, **places))
            except AssertionError as error:
                wrong.append(str(error).partition("\nassert")[0])
    assert not wrong, "\n".join(wrong)


def test_server(served: Served) -> None:
    """Probes, paths that are not there, web pages."""
    _replay(served, map(at_gateway, SERVER))


def test_models(served: Served) -> None:
    """Lists and names of models, tags, what is wrong with them."""
    _replay(served, (at_gateway(row) for row in MODELS if row.number not in _NOWHERE))


def test_engines(served: Served) -> None:
    """What runs, how it is to run, and that it runs no more."""
    _replay(served, map(at_gateway, ENGINES))


def test_openai(served: Served) -> None:
    """Chats, completions, responses, and what is told of them then."""
    _replay(served, map(at_gateway, (*INFERENCE, *USED)))


def test_anthropic(served: Served) -> None:
    """Messages."""
    _replay(served, map(at_gateway, MESSAGES_ROWS))


def test_ollama(served: Served) -> None:
    """Chats, lists, loading and unloading in Ollama's words."""
    _replay(served, (at_gateway(row) for row in OLLAMA_ROWS if row.number not in _NOWHERE))


def test_what_cannot_be_pulled(served: Served) -> None:
    """It is told in the stream; the Model stays, and goes when it is deleted."""
    rows = (row for row in (*MODELS, *OLLAMA_ROWS) if row.number in _NOWHERE)
    with served.operator():
        _replay(served, map(at_gateway, rows))
    gone = served.home.ask("DELETE", "/models/ai-none?force=true")
    assert gone.is_success, gone.text


def test_pulls(served: Served) -> None:
    """A model comes, goes and comes again; the operator is played, so there is no registry."""
    with served.operator():
        _replay(served, map(at_gateway, PULLS), registry="registry.example.com:5000")


def test_other_modes(all_modes: Served) -> None:
    """What the recorded server asked one model for, asked of a Model in the right mode."""
    rows = (*INFERENCE, *OLLAMA_ROWS)
    embeds = (at_gateway(row, name=EMBEDDER) for row in rows if row.number in _EMBEDS)
    ranks = (at_gateway(row, name=RANKER) for row in rows if row.number in _RANKS)
    _replay(all_modes, (*embeds, *ranks))


def test_every_difference_is_one() -> None:
    """What is listed as one is answered otherwise than by `runnerd serve`."""
    tables = (SERVER, MODELS, ENGINES, USED, INFERENCE, MESSAGES_ROWS, OLLAMA_ROWS, PULLS)
    rows = {row.number: row for table in tables for row in table}
    same = [number for number in DIFFERENT if at_gateway(rows[number]).ours == rows[number].ours]
    assert not same
