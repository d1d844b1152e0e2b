"""Requests that were sent to a running Docker Model Runner, sent to `runnerd serve`.

The tables say what Docker Model Runner answered, and where and why ours is another answer.
"""

from collections.abc import Sequence

import pytest

from tests.integration.runnerd_serve_dmr.recorded import Row
from tests.integration.runnerd_serve_dmr.rows_engines import ENGINES
from tests.integration.runnerd_serve_dmr.rows_server import MODELS, SERVER
from tests.support.serving import Serving

pytestmark = pytest.mark.engine


def _replay(server: Serving, rows: Sequence[Row], **places: str) -> None:
    """Send them in their order; all that are answered otherwise are told."""
    wrong = []
    with server.http as http:
        for row in rows:
            try:
                row.check(row.ask(http, **places))
            except AssertionError as error:
                wrong.append(str(error).partition("\nassert")[0])
    assert not wrong, "\n".join(wrong)


def test_server(server: Serving) -> None:
    """Probes, paths that are not there, web pages."""
    _replay(server, SERVER)


def test_models(server: Serving) -> None:
    """Lists and names of models, tags, what is wrong with them."""
    _replay(server, MODELS)


def test_engines(server: Serving) -> None:
    """What runs, how it is to run, and that it runs no more."""
    _replay(server, ENGINES)
