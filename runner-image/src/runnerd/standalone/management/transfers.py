"""POST /models/create and …/push: a model comes or goes, and its steps are told line by line.

Source: docker/model-runner `pkg/inference/models/http_handler.go`, `manager.go` (`Pull`, `Push`).
"""

from collections.abc import AsyncGenerator, Mapping

from aiohttp import web

from modelrunner_protocol import dmr
from runnerd.server.dialects import Dialect
from runnerd.standalone.management.bodies import body_object, wrong_shape
from runnerd.standalone.management.needs import Puller, Pusher
from runnerd.standalone.management.steps import told_in_lines
from runnerd.standalone.pages import Page


class Transfers:
    """Answers there."""

    def __init__(self, pulls: Puller, pushes: Pusher) -> None:
        self._pulls = pulls
        self._pushes = pushes

    def pages(self) -> tuple[Page, ...]:
        """What is answered here; it comes before the pages of `Models`."""
        docker = Dialect.DOCKER
        return (
            Page("/models/create", {"POST": self._create}, docker),
            Page("/models/(?P<name>.+)/push", {"POST": self._push}, docker),
        )

    async def _create(self, request: web.BaseRequest, _: Mapping[str, str]) -> web.StreamResponse:
        try:
            asked = dmr.create_request(await body_object(request))
        except dmr.ShapeError as error:
            raise wrong_shape(error) from error
        return await _told(request, self._pulls.pull(asked.reference, token=asked.token))

    async def _push(
        self, request: web.BaseRequest, groups: Mapping[str, str]
    ) -> web.StreamResponse:
        try:
            token = dmr.push_request(await body_object(request, optional=True))
        except dmr.ShapeError as error:
            raise wrong_shape(error) from error
        events = self._pushes.push(groups["name"], token=token)
        return await _told(request, events, dmr.Way.PUSH)


async def _told(
    request: web.BaseRequest,
    events: AsyncGenerator[dmr.Line, None],
    way: dmr.Way = dmr.Way.PULL,
) -> web.StreamResponse:
    accept = request.headers.get("Accept", "")
    return await told_in_lines(
        request,
        events,
        content_type=dmr.line_type(accept),
        lines=lambda event: (dmr.line_bytes(event, accept),),
        failure=lambda message: dmr.line_bytes(dmr.failed(message, way), accept),
    )
