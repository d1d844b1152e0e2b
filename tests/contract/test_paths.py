"""The gateway and the runner know the same paths: what the one lets in, the other answers."""

from modelrunner.gateway.dialects import ANTHROPIC
from modelrunner.gateway.routing.paths import ROUTES
from runnerd.server.dialects import Dialect
from runnerd.server.routes import inference_routes

ENGINE = "llama.cpp"


def test_gateway_and_runner_know_the_same_paths() -> None:
    """Each path is in both tables, with the same label, and both speak Anthropic's or do not."""
    gateway = {
        path: (route.name, route.dialect is ANTHROPIC)
        for path, route in ROUTES.items()
        if route.engine in {"", ENGINE}
    }
    runner = {
        path: (route.name, route.dialect is Dialect.ANTHROPIC)
        for path, route in inference_routes(ENGINE).items()
    }
    assert gateway == runner
