"""How a client is told of a pull: line by line, in its own words."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final

from aiohttp import web

from modelrunner.gateway.dialects import Refused
from modelrunner.gateway.management.making import Made
from modelrunner.gateway.management.management import Management
from modelrunner.gateway.management.progress import Failed, Progress, Pulled, Pulling
from modelrunner_protocol import dmr, ollama

_IGNORED: Final = (
    "bearer-token is not used here: the Model names a Secret in spec.source.credentialsSecret"
)

_UP_TO_DATE: Final = "up to date"


async def sent(
    request: web.Request, lines: AsyncGenerator[bytes], media: str
) -> web.StreamResponse:
    """Answer with lines as they come. A client that leaves changes nothing about the pull."""
    response = web.StreamResponse(headers={"Content-Type": media, "Cache-Control": "no-cache"})
    with suppress(ConnectionError):
        await response.prepare(request)
        async with aclosing(lines):
            async for line in lines:
                await response.write(line)
        await response.write_eof()
    return response


async def docker_lines(
    management: Management, made: Made, accept: str, *, token: bool
) -> AsyncGenerator[bytes]:
    """In the words of Docker Model Runner. `token`: the client sent one for the registry."""
    if token:
        yield dmr.line_bytes(dmr.Line(kind=dmr.Kind.WARNING, message=_IGNORED), accept)
    if made.unasked:
        yield dmr.line_bytes(dmr.Line(kind=dmr.Kind.WARNING, message=made.unasked), accept)
    troubles: set[str] = set()
    first = True
    async with aclosing(management.follow(made)) as steps:
        async for step in steps:
            if isinstance(step, Pulling) and step.troubled and step.message not in troubles:
                troubles.add(step.message)
                yield dmr.line_bytes(dmr.Line(kind=dmr.Kind.WARNING, message=step.message), accept)
            cached = isinstance(step, Pulled) and (step.here or (first and not made.new))
            yield dmr.line_bytes(_docker_line(step, cached=cached), accept)
            first = False


async def ollama_lines(management: Management, made: Made) -> AsyncGenerator[bytes]:
    """In the words of Ollama."""
    if made.unasked:
        yield json.dumps(ollama.doing(made.unasked)).encode() + b"\n"
    async with aclosing(management.follow(made)) as steps:
        async for step in steps:
            if isinstance(step, Pulled) and step.here:
                yield json.dumps(ollama.doing(_UP_TO_DATE)).encode() + b"\n"
            yield json.dumps(_ollama_line(step)).encode() + b"\n"


async def pulled(management: Management, made: Made) -> dict[str, Any]:
    """Ollama's answer once the weights are there.

    Raises:
        Refused: 500: they will not be.
    """
    async with aclosing(management.follow(made)) as steps:
        async for step in steps:
            if isinstance(step, Failed):
                raise Refused(500, step.reason, step.text)
    return dict(ollama.SUCCESS)


def _docker_line(step: Progress, *, cached: bool) -> dmr.Line:
    if isinstance(step, Pulled):
        return dmr.cached(step.size) if cached else dmr.pulled()
    if isinstance(step, Failed):
        return dmr.failed(step.text)
    if not step.total:
        return dmr.Line(kind=dmr.Kind.PROGRESS, message=step.message)
    return dmr.downloaded(step.digest, size=step.total, current=step.completed, total=step.total)


def _ollama_line(step: Progress) -> Mapping[str, Any]:
    if isinstance(step, Pulled):
        return ollama.SUCCESS
    if isinstance(step, Failed):
        return {"error": step.text}
    if not step.total:
        return ollama.doing(step.message)
    if not step.digest:
        # Of a file without one the bytes are told all the same.
        return {**ollama.doing(step.message), "total": step.total, "completed": step.completed}
    return ollama.pulling(step.digest, total=step.total, completed=step.completed)
