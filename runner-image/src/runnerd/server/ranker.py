"""Documents ranked by an engine that was started for it."""

import time
from dataclasses import dataclass

from aiohttp import web

from runnerd.server import answers
from runnerd.server.checks import Accepted
from runnerd.server.dialects import Rejection
from runnerd.server.naming import object_of
from runnerd.server.proxy import Proxy
from runnerd.server.ranking import NoScoresError, Ranking, answered, reranking, scores_of, scoring
from runnerd.server.refusals import refusal, worded
from runnerd.server.retelling import whole
from runnerd.server.routes import RERANK, Inference


@dataclass(frozen=True, slots=True)
class Ranked:
    """A request that the engine may see. `model`: its name, as the client wrote it.

    Attributes:
        keep_alive: Seconds (negative: for ever) that were asked for, None when none were.
    """

    asked: Ranking
    model: str
    keep_alive: float | None


class Ranker:
    """Answers /rerank and /score. `model`: the model's name where a request gives none."""

    def __init__(self, model: str, proxy: Proxy) -> None:
        self._model = model
        self._proxy = proxy

    def asked(self, route: Inference, accepted: Accepted) -> Ranked | Rejection:
        """What a body asks, or what is wrong with it."""
        found = ranking_of(route, accepted.body)
        if isinstance(found, Rejection):
            return found
        return Ranked(found, accepted.asked or self._model, accepted.keep_alive)

    async def answer(
        self, request: web.BaseRequest, route: Inference, found: Ranked, request_id: str
    ) -> web.StreamResponse:
        """One score for each document, whatever the engine leaves out."""
        asked = found.asked
        scores = [0.0] * len(asked.documents)
        usage = {"prompt_tokens": 0, "total_tokens": 0}
        for question in asked.questions:
            sent = question.body()
            begun = await self._proxy.begin(request, route, RERANK.path, sent, request_id)
            if isinstance(begun, web.Response):
                return begun
            upstream, epoch = begun
            try:
                raw = await whole(upstream)
            finally:
                upstream.close()
            if raw is None:
                return await self._proxy.lost(route.dialect, epoch)
            if upstream.status != 200:
                return _refused(route, upstream.status, raw)
            try:
                told, counted = scores_of(question, raw)
            except NoScoresError:
                text = "the engine did not say how well each document fits"
                return answers.rejection(answers.engine_failure(text), route.dialect)
            for place, score in zip(question.places, told, strict=True):
                scores[place] = score
            usage = {name: usage[name] + counted[name] for name in usage}
        body = answered(
            asked,
            scores,
            usage,
            model=found.model,
            identity=request_id,
            created=int(time.time()),
        )
        return answers.json_answer(200, body, {"X-Request-Id": request_id})


def ranking_of(route: Inference, raw: bytes) -> Ranking | Rejection:
    """What a body at /rerank or /score asks, or what is wrong with it, whatever the model."""
    read = object_of(raw)
    if isinstance(read, Rejection):
        return read
    return (reranking if route is RERANK else scoring)(read[1])


def _refused(route: Inference, status: int, raw: bytes) -> web.Response:
    if told := refusal(route, status, raw, RERANK.path):
        return answers.rejection(told, route.dialect)
    headers = {"Server": answers.SERVER}
    return web.Response(
        status=status, body=worded(raw), content_type="application/json", headers=headers
    )
