"""Counters and durations."""

from runnerd.ollama.counters import Course, counters

COURSE = Course(arrived=100, asked=150, first=250, ended=1000)


def test_the_engines_own_timings() -> None:
    """Nanoseconds; the prompt is counted whole, also where a part of it was remembered."""
    usage = {"prompt_tokens": 32, "completion_tokens": 3}
    timings = {"prompt_n": 1, "prompt_ms": 13.2, "predicted_n": 3, "predicted_ms": 26.2}
    assert counters(COURSE, usage, timings) == {
        "total_duration": 900,
        "load_duration": 50,
        "prompt_eval_count": 32,
        "prompt_eval_duration": 13_200_000,
        "eval_count": 3,
        "eval_duration": 26_200_000,
    }


def test_an_engine_without_timings() -> None:
    """What was seen from here."""
    found = counters(COURSE, {"prompt_tokens": 5}, None)
    assert (found["prompt_eval_duration"], found["eval_duration"]) == (100, 750)
    assert (found["prompt_eval_count"], found["eval_count"]) == (5, 0)


def test_a_clock_that_was_set_back() -> None:
    """No duration is negative."""
    found = counters(Course(arrived=10, asked=5, first=3, ended=2), None, {"prompt_n": 4})
    assert found["prompt_eval_count"] == 4
    assert min(found.values()) == 0
