"""POST /models/create: a model is pulled, and its steps are told line by line.

Source: docker/model-runner `pkg/inference/models/http_handler.go`, `manager.go` (`Pull`).
"""

from collections.abc import Mapping

from aiohttp import web

from modelrunner_protocol import dmr
from runnerd.server.dialects import Dialect
from runnerd.standalone.catalogue.pulls import Pulls
from runnerd.standalone.management.bodies import body_object, wrong_shape
from runnerd.standalone.management.steps import told_in_lines
from runnerd.standalone.pages import Page


class Create:
    """Answers there."""

    def __init__(self, pulls: Pulls) -> None:
        self._pulls = pulls

    def pages(self) -> tuple[Page, ...]:
        """What is answered here; it comes before the pages of `Models`."""
        return (Page("/models/create", {"POST": self._create}, Dialect.DOCKER),)

    async def _create(self, request: web.BaseRequest, _: Mapping[str, str]) -> web.StreamResponse:
        try:
            asked = dmr.create_request(await body_object(request))
        except dmr.ShapeError as error:
            raise wrong_shape(error) from error
        accept = request.headers.get("Accept", "")
        return await told_in_lines(
            request,
            self._pulls.pull(asked.reference, token=asked.token),
            content_type=dmr.line_type(accept),
            lines=lambda event: (dmr.line_bytes(event, accept),),
            failure=lambda message: dmr.line_bytes(dmr.failed(message), accept),
        )
