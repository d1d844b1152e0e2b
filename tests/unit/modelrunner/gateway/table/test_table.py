"""The route table: names, endpoints, and what subscribers are told."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrunner.gateway.table.entry import ModelEntry
from modelrunner.gateway.table.table import _SEEN_LIMIT, RouteTable
from tests.support.table_objects import Object, condition, endpoint, endpoint_slice, model


def table(*objects: Object) -> RouteTable:
    """A table of Models and slices."""
    found = RouteTable()
    for item in objects:
        (found.put_model if item["kind"] == "Model" else found.put_slice)(item)
    return found


def found(routes: RouteTable, name: str) -> ModelEntry:
    """Who answers to a name; somebody does."""
    entry = routes.find(name)
    assert entry is not None
    return entry


def hosts(endpoints: Sequence[Any]) -> list[str]:
    """The addresses of endpoints."""
    return [one.address[0] for one in endpoints]


def test_a_model_is_found_by_each_of_its_names() -> None:
    """Its own, its path, its aliases, and every spelling of them."""
    routes = table(model("ml/smollm2", aliases=["gpt-4o", "ai/smollm2:135M-Q4_0"]))
    entry = found(routes, "smollm2")
    for name in (
        "ml/smollm2",
        "ai/smollm2",
        "docker.io/ai/smollm2:latest",
        "ai%2Fsmollm2",
        "GPT-4o",
        "index.docker.io/ai/smollm2:135M-Q4_0",
        "gpt-4o",
        "gpt-4o",
    ):
        assert routes.find(name) is entry
    for name in ("", "other", "web/smollm2", "smollm2:v2", "ml/", "\x00", "x" * 10_000):
        assert routes.find(name) is None


def test_the_older_model_keeps_a_name_until_it_goes() -> None:
    """And then the younger one has it, without being touched itself."""
    old = model("ml/old", aliases=["x"], created="2026-01-01T00:00:00Z")
    routes = table(model("ml/young", aliases=["x"]))
    assert found(routes, "x").name == "young"
    routes.put_model(old)
    assert found(routes, "x").name == "old"
    routes.drop_model(old)
    assert found(routes, "x").name == "young"


def test_a_name_that_a_model_gives_up_is_no_longer_found() -> None:
    """Names that were seen before are not remembered against the truth."""
    routes = table(model(aliases=["x"]))
    assert routes.find("x") is not None
    routes.put_model(model(version=2))
    assert routes.find("x") is None
    assert routes.find("smollm2") is not None


def test_random_names_take_no_memory() -> None:
    """Unknown ones are not kept, and of the endless spellings of a known one only so many."""
    routes = table(model())
    for index in range(3 * _SEEN_LIMIT):
        assert routes.find(f"unknown-{index}") is None
        assert routes.find(" " * (index % 300) + "smollm2" + "\t" * (index // 300)) is not None
        assert len(routes._seen) <= _SEEN_LIMIT
    assert not any(name.startswith("unknown") for name in routes._seen)


def test_an_entry_is_changed_in_place() -> None:
    """A waiter keeps it and sees what happens to its model."""
    routes = table(model())
    entry = found(routes, "smollm2")
    routes.put_model(model(version=2, status={"phase": "Starting"}))
    routes.put_slice(endpoint_slice("ml/smollm2", endpoint("198.18.0.1", ready=False)))
    assert routes.find("smollm2") is entry
    assert entry.phase == "Starting"
    assert (hosts(entry.ready), hosts(entry.starting)) == ([], ["198.18.0.1"])


def test_a_deleted_model_and_its_successor_are_two() -> None:
    """Who waits for the first is told that it is gone, even if no deletion was seen."""
    routes = table(model(uid="1"), endpoint_slice("ml/smollm2", endpoint("198.18.0.1")))
    first = found(routes, "smollm2")
    (before,) = first.ready
    routes.put_model(model(uid="2", version=2))
    second = found(routes, "smollm2")
    assert first.gone
    assert (first.ready, before.retired) == ([], True)
    assert not second.gone
    assert hosts(second.ready) == ["198.18.0.1"]
    assert second.ready[0] is not before
    routes.drop_model(model(uid="1"))
    assert routes.find("smollm2") is second
    routes.drop_model(model(uid="2"))
    assert routes.find("smollm2") is None
    assert second.gone


def test_a_pod_keeps_its_endpoint_object() -> None:
    """From starting to ready and through changes of others: requests in flight are counted on it."""
    routes = table(
        model(), endpoint_slice("ml/smollm2", endpoint("198.18.0.1", ready=False, pod="a"))
    )
    entry = found(routes, "smollm2")
    (first,) = entry.starting
    routes.put_slice(
        endpoint_slice(
            "ml/smollm2", endpoint("198.18.0.1", pod="a"), endpoint("198.18.0.2", pod="b")
        )
    )
    assert entry.ready[0] is first
    assert entry.starting == []
    assert first.name == "a"
    assert not first.retired


def test_a_pod_that_leaves_is_retired() -> None:
    """It is in neither list while it terminates, and another pod at its address is another one."""
    routes = table(model(), endpoint_slice("ml/smollm2", endpoint("198.18.0.1", pod="a")))
    entry = found(routes, "smollm2")
    (first,) = entry.ready
    routes.put_slice(
        endpoint_slice("ml/smollm2", endpoint("198.18.0.1", pod="a", terminating=True))
    )
    assert (entry.ready, entry.starting, first.retired) == ([], [], True)
    routes.put_slice(endpoint_slice("ml/smollm2", endpoint("198.18.0.1", pod="b")))
    assert entry.ready[0] is not first
    assert not entry.ready[0].retired


def test_several_slices_of_a_service_are_one_list() -> None:
    """Each may come and go; IPv4 and IPv6 pods stand side by side."""
    one = endpoint_slice("ml/smollm2", endpoint("198.18.0.1", pod="a"), name="one")
    two = endpoint_slice("ml/smollm2", endpoint("fd00::1", pod="b"), name="two", family="IPv6")
    routes = table(model(), one, two)
    entry = found(routes, "smollm2")
    assert hosts(entry.ready) == ["198.18.0.1", "fd00::1"]
    routes.drop_slice(one)
    assert hosts(entry.ready) == ["fd00::1"]
    routes.replace_slices([one])
    assert hosts(entry.ready) == ["198.18.0.1"]


def test_slices_that_come_first_wait_for_their_model() -> None:
    """The two watches know nothing of each other."""
    routes = table(endpoint_slice("ml/smollm2", endpoint("198.18.0.1")), model())
    assert hosts(found(routes, "smollm2").ready) == ["198.18.0.1"]


def test_a_slice_that_stops_being_ours_takes_its_endpoints_along() -> None:
    """Also when it goes over to another Model."""
    routes = table(
        model("ml/a"), model("ml/b"), endpoint_slice("ml/a", endpoint("198.18.0.1"), name="s")
    )
    routes.put_slice(endpoint_slice("ml/b", endpoint("198.18.0.1"), name="s"))
    assert hosts(found(routes, "a").ready) == []
    assert hosts(found(routes, "b").ready) == ["198.18.0.1"]
    routes.put_slice(endpoint_slice("ml/b", name="s", labels={"app.kubernetes.io/managed-by": "x"}))
    assert hosts(found(routes, "b").ready) == []


def test_slices_of_another_namespace_are_another_models() -> None:
    """Names are only unique within one."""
    routes = table(model("ml/x"), model("web/x"), endpoint_slice("web/x", endpoint("198.18.0.1")))
    assert hosts(found(routes, "ml/x").ready) == []
    assert hosts(found(routes, "web/x").ready) == ["198.18.0.1"]


def test_subscribers_hear_of_every_change_and_of_the_end() -> None:
    """When the table is whole again; equal states and strangers' slices are no change."""
    routes, heard = RouteTable(), list[tuple[str, bool]]()

    def listen(entry: ModelEntry) -> None:
        assert entry.gone or routes.find(entry.path) is entry
        heard.append((entry.path, entry.gone))

    stop = routes.subscribe(listen)
    routes.replace_models([model("ml/a"), model("ml/b")])
    assert heard == [("ml/a", False), ("ml/b", False)]
    heard.clear()
    routes.put_model(model("ml/a"))
    routes.put_slice(endpoint_slice("ml/other", endpoint("198.18.0.1")))
    routes.put_slice(endpoint_slice("ml/a", endpoint("198.18.0.9", terminating=True)))
    assert heard == []
    routes.put_slice(endpoint_slice("ml/a", endpoint("198.18.0.1")))
    routes.put_slice(endpoint_slice("ml/a", endpoint("198.18.0.1")))
    routes.put_model(model("ml/a", version=2))
    assert heard == [("ml/a", False)] * 2
    heard.clear()
    routes.replace_models([model("ml/b")])
    assert heard == [("ml/a", True)]
    stop()
    stop()
    routes.drop_model(model("ml/b"))
    assert heard == [("ml/a", True)]


def test_a_subscriber_that_fails_keeps_nothing_from_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged, and the table goes on."""
    routes, heard = RouteTable(), list[str]()

    def fail(entry: ModelEntry) -> None:
        raise ValueError(entry.path)

    routes.subscribe(fail)
    routes.subscribe(lambda entry: heard.append(entry.path))
    routes.put_model(model("ml/a"))
    assert heard == ["ml/a"]
    assert "ml/a was not taken in" in caplog.text


def test_replacing_one_namespace_leaves_the_others() -> None:
    """Each watched namespace is listed by itself."""
    routes = table(
        model("ml/a"),
        model("web/b"),
        endpoint_slice("ml/a", endpoint("198.18.0.1")),
        endpoint_slice("web/b", endpoint("198.18.0.2")),
    )
    routes.replace_models([], "ml")
    routes.replace_slices([], "ml")
    assert [entry.path for entry in routes.models()] == ["web/b"]
    assert hosts(found(routes, "b").ready) == ["198.18.0.2"]
    routes.replace_slices([])
    routes.replace_models([])
    assert routes.models() == []


def test_objects_of_wrong_shapes_are_passed_over() -> None:
    """Nothing of what a server could send raises."""
    routes = table(model("ml/a"))
    for odd in ({}, {"metadata": None}, {"metadata": {"name": "x"}}, {"metadata": {"labels": 1}}):
        for take in (routes.put_model, routes.drop_model, routes.put_slice, routes.drop_slice):
            take(odd)
        routes.replace_slices([odd])
        routes.replace_models([odd, model("ml/a")])
    assert [entry.path for entry in routes.models()] == ["ml/a"]


_PATHS = ["ml/a", "ml/b", "web/a"]
_MODELS = st.builds(
    lambda path, uid, age, aliases, asleep: model(
        path,
        uid=f"{path} {uid}",
        created=f"2026-07-0{age}T00:00:00Z",
        aliases=aliases,
        status={"conditions": [condition("Ready", "True", "ScaledToZero" if asleep else "Ready")]},
    ),
    st.sampled_from(_PATHS),
    st.integers(1, 2),
    st.integers(1, 3),
    st.lists(st.sampled_from(["x", "ai/x:latest", "a", "y"]), max_size=2, unique=True),
    st.booleans(),
)
_ENDPOINTS = st.builds(
    endpoint,
    st.sampled_from(["198.18.0.1", "198.18.0.2"]),
    ready=st.sampled_from([True, False, None]),
    terminating=st.booleans(),
    pod=st.sampled_from(["", "p", "q"]),
)
_SLICES = st.builds(
    lambda path, name, endpoints, ours: endpoint_slice(
        path, *endpoints, name=name, labels={} if ours else {"app.kubernetes.io/managed-by": "x"}
    ),
    st.sampled_from(_PATHS),
    st.sampled_from(["s", "t"]),
    st.lists(_ENDPOINTS, max_size=3),
    st.booleans(),
)
_EVENTS = st.lists(
    st.tuples(st.sampled_from(["put", "put", "put", "drop", "relist"]), _MODELS | _SLICES),
    max_size=25,
)


def state(routes: RouteTable) -> list[Any]:
    """All that a reader of the table can see, but for identities and counters."""
    names = ["x", "a", "b", "y", "ml/a", "web/a", "AI/X", "nobody"]
    return [
        *(getattr(routes.find(name), "path", None) for name in names),
        *(
            (
                *(entry.path, entry.uid, entry.aliases, entry.asleep, entry.gone),
                *((one.name, one.address, one.retired) for one in entry.ready),
                "starting",
                *((one.name, one.address, one.retired) for one in entry.starting),
            )
            for entry in routes.models()
        ),
    ]


@settings(max_examples=200)
@given(_EVENTS)
def test_any_way_to_a_state_gives_the_same_table(events: list[tuple[str, Object]]) -> None:
    """After any events the table is the one that a fresh list of what is left would make."""
    routes, left = RouteTable(), dict[tuple[str, str, str], Object]()
    for version, (event, drawn) in enumerate(events):
        meta, is_model = drawn["metadata"], drawn["kind"] == "Model"
        item = {**drawn, "metadata": {**meta, "resourceVersion": str(version)}}
        place = (item["kind"], meta["namespace"], meta["name"])
        if event == "drop":
            (routes.drop_model if is_model else routes.drop_slice)(left.pop(place, item))
            continue
        left[place] = item
        if event == "put":
            (routes.put_model if is_model else routes.put_slice)(item)
        else:
            of_kind = [one for one in left.values() if one["kind"] == item["kind"]]
            (routes.replace_models if is_model else routes.replace_slices)(of_kind)
    fresh = RouteTable()
    fresh.replace_models([one for one in left.values() if one["kind"] == "Model"])
    fresh.replace_slices([one for one in left.values() if one["kind"] != "Model"])
    assert state(routes) == state(fresh)
    assert not any(entry.gone for entry in routes.models())
