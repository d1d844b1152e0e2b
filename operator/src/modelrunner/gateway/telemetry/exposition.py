"""/metrics: what the meters counted, what the route table shows, and how the process is."""

import asyncio
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.telemetry.histogram import Histogram
from modelrunner.gateway.telemetry.meters import Meters, ModelMeter
from modelrunner.gateway.telemetry.page import Labels, Page, labels

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
LAG_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_PREFIX: Final = "modelrunner_gateway_"
_CLASSES: Final = {0: "none", 1: "1xx", 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}
_STAGES: Final = ("scheduled", "image", "engine", "warmup", "total")

_Models = Sequence[tuple[Labels, ModelMeter]]


@dataclass(slots=True)
class Sources:
    """What is read at each scrape.

    `gauges` and `counters`: name → (help, value); a gauge of None is left out.
    """

    models: Callable[[], Sequence[ModelEntry]]
    clock: Callable[[], float]
    build: Mapping[str, str]
    gauges: dict[str, tuple[str, Callable[[], float | None]]] = field(default_factory=dict)
    counters: dict[str, tuple[str, Callable[[], float]]] = field(default_factory=dict)
    lag: Histogram = field(default_factory=lambda: Histogram(LAG_SECONDS))


class Exposition:
    """Renders the page. Between families the event loop may do other things.

    `writes` counts what is written to the API server, by verb and resource.
    """

    def __init__(self, meters: Meters, sources: Sources) -> None:
        self._meters = meters
        self._sources = sources
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self.writes = Counter(
            f"{_PREFIX}api_writes",
            "Write requests sent to the API server.",
            ["verb", "resource"],
            registry=self._registry,
        )

    async def render(self) -> bytes:
        """The whole page, UTF-8."""
        page = Page()
        shown = [(_of(entry), entry) for entry in self._sources.models()]
        measured = [(_of(entry), meter) for entry, meter in self._meters.models.items()]
        measured.append((labels(namespace="", model=""), self._meters.nobody))
        steps = [partial(self._process, page)]
        steps += [partial(write, page, measured) for write in _COUNTED]
        steps += [partial(write, page, shown, self._sources.clock()) for write in _SHOWN]
        for step in steps:
            step()
            await asyncio.sleep(0)
        return page.text() + generate_latest(self._registry)

    def _process(self, page: Page) -> None:
        sources = self._sources
        build = labels(**sources.build, python=platform.python_version())
        page.family(f"{_PREFIX}build_info", "gauge", "What runs here.", [(build, 1)])
        for name, (text, read) in sources.gauges.items():
            value = read()
            page.family(f"{_PREFIX}{name}", "gauge", text, [] if value is None else [("", value)])
        for name, (text, read) in sources.counters.items():
            page.family(f"{_PREFIX}{name}", "counter", text, [("", read())])
        lag = "How late the event loop was, measured four times a second."
        page.histograms(f"{_PREFIX}loop_lag_seconds", lag, [("", sources.lag)])
        page.family(
            f"{_PREFIX}rejected_total",
            "counter",
            "Requests that were answered with an error of our own, by its code.",
            [(labels(code=code), count) for code, count in self._meters.rejected.items()],
        )


def _of(entry: ModelEntry) -> Labels:
    return labels(namespace=entry.namespace, model=entry.name)


def _requests(page: Page, models: _Models) -> None:
    def samples() -> Iterator[tuple[Labels, float]]:
        for at, meter in models:
            for (route, dialect, kind), count in meter.requests.items():
                of = labels(route=route, dialect=dialect, status=_CLASSES.get(kind, "other"))
                yield f"{at},{of}", count

    text = 'Requests that ended. Status "none": the client left before there was an answer.'
    page.family(f"{_PREFIX}requests_total", "counter", text, samples())


def _counts(
    name: str, text: str, label: str, read: Callable[[ModelMeter], Mapping[str, int]]
) -> Callable[[Page, _Models], None]:
    def write(page: Page, models: _Models) -> None:
        samples = (
            (f"{at},{labels(**{label: value})}", count)
            for at, meter in models
            for value, count in read(meter).items()
        )
        page.family(f"{_PREFIX}{name}", "counter", text, samples)

    return write


def _histogram(
    name: str, text: str, read: Callable[[ModelMeter], Histogram]
) -> Callable[[Page, _Models], None]:
    def write(page: Page, models: _Models) -> None:
        page.histograms(f"{_PREFIX}{name}", text, [(at, read(meter)) for at, meter in models])

    return write


def _held(page: Page, models: _Models) -> None:
    samples = [(at, meter.held) for at, meter in models]
    page.family(f"{_PREFIX}held", "gauge", "Requests that wait for their model.", samples)


def _tokens(meter: ModelMeter) -> Mapping[str, int]:
    told = {"in": meter.tokens_in, "out": meter.tokens_out}
    return {direction: count for direction, count in told.items() if count}


_COUNTED: Final[Iterable[Callable[[Page, _Models], None]]] = (
    _requests,
    _counts(
        "incomplete_total",
        "Answers that did not come to their end, by who broke off.",
        "outcome",
        lambda meter: meter.incomplete,
    ),
    _counts("tokens_total", "Tokens, as far as answers tell them.", "direction", _tokens),
    _counts("wakes_total", "Wakes from zero by result.", "result", lambda meter: meter.wakes),
    _histogram(
        "request_seconds",
        "From a request's head to the end of its answer.",
        lambda meter: meter.seconds,
    ),
    _histogram(
        "first_token_seconds",
        "From a request's head to the first byte of a streamed answer, holding included.",
        lambda meter: meter.first_byte,
    ),
    _histogram("hold_seconds", "How long requests were held.", lambda meter: meter.hold),
    _histogram(
        "cold_start_seconds",
        "From the first request for a sleeping model to a runner that is ready.",
        lambda meter: meter.cold_start,
    ),
    _held,
)


def _in_flight(page: Page, models: Sequence[tuple[Labels, ModelEntry]], now: float) -> None:
    del now
    samples = [(at, entry.in_flight) for at, entry in models]
    page.family(f"{_PREFIX}in_flight", "gauge", "Requests at runners.", samples)


def _endpoints(page: Page, models: Sequence[tuple[Labels, ModelEntry]], now: float) -> None:
    def samples() -> Iterator[tuple[Labels, float]]:
        for at, entry in models:
            resting = sum(endpoint.rests_until > now for endpoint in entry.ready)
            yield f'{at},state="ready"', len(entry.ready) - resting
            yield f'{at},state="resting"', resting
            yield f'{at},state="starting"', len(entry.starting)

    text = "Runners by state. Resting: refused or reset lately, or its door is closed."
    page.family(f"{_PREFIX}endpoints", "gauge", text, samples())


def _stages(page: Page, models: Sequence[tuple[Labels, ModelEntry]], now: float) -> None:
    del now

    def samples() -> Iterator[tuple[Labels, float]]:
        for at, entry in models:
            startup = entry.status.get("startup") or {}
            for stage in _STAGES:
                seconds = startup.get(f"{stage}Seconds")
                if seconds is not None:
                    yield f'{at},stage="{stage}"', seconds

    text = "The last cold start by stage, as the Model's status tells it."
    page.family(f"{_PREFIX}cold_start_stage_seconds", "gauge", text, samples())


_SHOWN: Final[Iterable[Callable[[Page, Sequence[tuple[Labels, ModelEntry]], float], None]]] = (
    _in_flight,
    _endpoints,
    _stages,
)
