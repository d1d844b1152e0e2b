"""How much memory an engine will need."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrunner_protocol.wire import Mode
from runnerd.engines.memory import fitting, tuning
from runnerd.weights.attention import Attention
from runnerd.weights.gguf import GgufHeader
from runnerd.weights.memory import SMALLEST_CONTEXT, Estimate, Tuning, estimate
from tests.support.scripted_runner import CONFIG

MIB = 1 << 20
SMOL = GgufHeader(
    version=3,
    context_size=8192,
    vocabulary=49152,
    attention=Attention(embedding=576, whole=(5760, 5760)),
)
"""SmolLM2-135M."""


@pytest.mark.parametrize(
    ("tuned", "cache", "context"),
    [
        (Tuning(), 180.0, 8192),
        (Tuning(context=0), 180.0, 8192),
        (Tuning(context=2048), 45.0, 2048),
        (Tuning(context=2048, parallel=2), 45.0, 2048),
        (Tuning(context=1000, parallel=3), 33.75, 1536),
        (Tuning(context=1000, parallel=3, unified=True), 22.5, 1024),
        (Tuning(context=2048, keys="q8_0", values="q8_0"), 23.90625, 2048),
        (Tuning(context=2048, keys="f32", values="q4_0"), 51.328125, 2048),
        (Tuning(context=2048, keys="nonsense"), 45.0, 2048),
    ],
)
def test_what_is_kept(tuned: Tuning, cache: float, context: int) -> None:
    """The cache is as large as llama-server b10434 says in its log (MiB), slots or none."""
    found = estimate(SMOL, tuned, weights=100)
    assert (found.cache / MIB, found.context, found.weights) == (cache, context, 100)
    assert found.total == found.weights + found.cache + found.compute


def test_sliding_windows() -> None:
    """Layers that look at the newest tokens keep these, of each request, and one batch."""
    header = replace(
        SMOL, attention=Attention(embedding=8, whole=(1, 1), recent=(1, 1), window=512)
    )
    cells = (8192 + 4 * 512 + 512) * 4
    assert estimate(header, Tuning(), weights=0).cache == cells
    assert estimate(header, Tuning(parallel=2), weights=0).cache == (8192 + 2 * 1024) * 4
    assert estimate(header, Tuning(whole=True), weights=0).cache == 2 * 8192 * 4
    assert estimate(header, Tuning(context=256), weights=0).cache == 2 * 256 * 4


def test_a_header_that_tells_nothing() -> None:
    """The weights count all the same."""
    for header in (None, GgufHeader(version=3)):
        found = estimate(header, Tuning(), weights=7)
        assert (found.weights, found.cache) == (7, 0)
        assert fitting(header, Tuning(), weights=7, mode=Mode.COMPLETION, most=1) is None


def test_vectors_cost_more() -> None:
    """A model that answers with a vector computes with the whole vocabulary."""
    usual = estimate(SMOL, Tuning(), weights=0)
    for mode in (Mode.EMBEDDING, Mode.RERANKING):
        found = estimate(SMOL, Tuning(), weights=0, mode=mode)
        assert found.compute - usual.compute == 512 * 4 * 49152


def test_kept_prompts() -> None:
    """What an engine may come to keep counts from the start; vectors are not kept."""
    tuned = Tuning(prompts=64 * MIB)
    for header in (SMOL, None):
        usual = estimate(header, Tuning(), weights=1)
        assert estimate(header, tuned, weights=1).total - usual.total == 64 * MIB
        vectors = estimate(header, tuned, weights=1, mode=Mode.EMBEDDING)
        assert vectors.prompts == 0


def test_beside_a_draft() -> None:
    """Two models in a process share the program."""
    one = estimate(SMOL, Tuning(), weights=100)
    both = one.beside(one)
    assert both.cache == 2 * one.cache
    assert both.weights == 200
    assert one.compute < both.compute < 2 * one.compute
    assert both.context == one.context


@pytest.mark.parametrize(
    ("base", "flags", "environment", "expected"),
    [
        ("", (), {}, Tuning(context=None)),
        ("-c 512", (), {}, Tuning(context=512)),
        ("-ngl 999 --ctx-size=512 -np 3", (), {}, Tuning(context=512, parallel=3)),
        ("-c 512", ("--ctx-size", "1024"), {}, Tuning(context=1024)),
        ("--ctx-size 512", ("-c", "1024"), {}, Tuning(context=1024)),
        ("", (), {"LLAMA_ARG_CTX_SIZE": "64"}, Tuning(context=64)),
        ("-c 512", (), {"LLAMA_ARG_CTX_SIZE": "64"}, Tuning(context=512)),
        ("", ("-c", "much"), {}, Tuning(context=None)),
        ("", ("-np", "-1"), {}, Tuning()),
        ("", ("-ctk", "q8_0", "--cache-type-v=q4_0"), {}, Tuning(keys="q8_0", values="q4_0")),
        ("", ("-cram", "512"), {"LLAMA_ARG_CACHE_RAM": "64"}, Tuning(prompts=512 * MIB)),
        ("", (), {"LLAMA_ARG_CACHE_RAM": "64"}, Tuning(prompts=64 * MIB)),
        ("", ("--cache-ram", "-1"), {}, Tuning()),
        ("", ("--swa-full", "-kvu", "-ub", "64"), {}, Tuning(whole=True, unified=True, batch=64)),
    ],
)
def test_flags(
    base: str, flags: tuple[str, ...], environment: dict[str, str], expected: Tuning
) -> None:
    """The last flag counts, in either spelling, and any flag more than a variable."""
    config = replace(CONFIG, runtime_flags=flags)
    assert tuning(config, base.split(), environment) == expected


def test_configured_context() -> None:
    """It stands between LLAMA_ARGS and the model's own flags; -1 is llama-server's 0."""
    config = replace(CONFIG, context_size=2048)
    assert tuning(config, ("--ctx-size", "512"), {}).context == 2048
    assert tuning(replace(config, runtime_flags=("-c", "64")), (), {}).context == 64
    assert tuning(replace(config, context_size=-1), ("-c", "512"), {}).context == 0


@given(st.integers(0, 1 << 32), st.integers(4096, 1 << 20))
def test_a_context_that_fits(most: int, trained: int) -> None:
    """It is the largest one, in steps of 256, and never less than 4096 tokens."""
    header = replace(SMOL, context_size=trained)
    chosen: dict[str, Any] = {"weights": 90 * MIB, "mode": Mode.COMPLETION}

    def needed(context: int) -> int:
        return estimate(header, Tuning(context=context), **chosen).total

    found = fitting(header, Tuning(), most=most, **chosen)
    if found is None:
        assert needed(trained) <= most or trained <= SMALLEST_CONTEXT
    else:
        assert found <= trained
        assert needed(found) <= most or found == SMALLEST_CONTEXT
        assert needed(found + 256) > most or found + 256 > trained


def test_an_asked_context_is_kept() -> None:
    """What somebody asked for is not ours to choose."""
    for asked in (0, 8192):
        tuned = Tuning(context=asked)
        assert fitting(SMOL, tuned, weights=0, mode=Mode.COMPLETION, most=1) is None


def test_an_estimate_has_a_sum() -> None:
    """It is what the pool counts with."""
    assert Estimate(weights=1, cache=2, compute=3, context=4).total == 6
