"""Docker Model Runner's tables of runtime flags.

Source: docker/model-runner `pkg/inference/runtime_flags_test.go` and
`runtime_flags_allowlist_test.go`, all rows, save for `TestDangerousFlagsNotAllowed`, which is in
`tests/unit/modelrunner_protocol/test_flags.py` for llama.cpp; the same list for vLLM is below.
"""

import pytest

from modelrunner_protocol.flags import FlagError, allowed_flags, check_flags
from tests.unit.modelrunner_protocol.test_flags import _DANGEROUS

LLAMA = "llama.cpp"
VLLM = "vllm"

OURS_ALONE = ["--temp=-.5"]
"""We allow it, and the original does not: a number may begin with its point, as in llama.cpp."""

OUT_OF_OURS = ["--metrics", "--no-metrics", "--served-model-name", "--disable-log-stats"]
"""The original allows them, and we do not: each would take away its own engine's metrics, or the
name by which it is asked. `--metrics` is set already, so it may stand there."""


@pytest.mark.parametrize(
    ("backend", "flags"),
    [
        (LLAMA, []),
        (LLAMA, ["--verbose", "--threads", "4"]),
        (LLAMA, ["-v", "-t", "4"]),
        (LLAMA, ["--threads=4", "--ctx-size=2048"]),
        (LLAMA, ["--threads", "4", "--ctx-size", "2048", "--verbose", "--flash-attn"]),
        (LLAMA, ["-ngl", "99", "--main-gpu", "0"]),
        (LLAMA, ["--temp", "0.7", "--top-p", "0.9", "--seed", "42"]),
        (
            LLAMA,
            # docker/model-runner#515
            [
                *("--n-gpu-layers", "99", "--jinja", "--top-p", "0.8", "--top-k", "20"),
                *("--temp", "0.7", "--min-p", "0.0", "--presence-penalty", "1.5", "--no-mmap"),
                *("--flash-attn", "--cache-type-k", "q8_0", "--cache-type-v", "q8_0"),
            ],
        ),
        (VLLM, ["--tensor-parallel-size", "2", "--max-model-len", "4096"]),
        (VLLM, ["-tp", "2", "-q", "awq"]),
        (LLAMA, ["--temp", "0.7", "--seed", "42"]),
        (LLAMA, ["--threads=-1"]),
        (LLAMA, ["--temp=-0.5"]),
        (LLAMA, ["--seed=0"]),
        (LLAMA, OURS_ALONE),
    ],
)
def test_allowed(backend: str, flags: list[str]) -> None:
    """What the original takes, we take."""
    check_flags(backend, flags)


@pytest.mark.parametrize(
    ("backend", "flags"),
    [
        (LLAMA, ["--log-file", "test.log"]),
        (LLAMA, ["--threads", "/etc/passwd"]),
        (LLAMA, ["--threads=/var/log/test"]),
        (VLLM, ["--output-file", "test.log"]),
        ("unknown-backend", ["--verbose", "--debug", "--threads", "4"]),
        (LLAMA, ["--threads", "../file.txt"]),
        (LLAMA, ["--threads", "./config.yaml"]),
        (LLAMA, ["--threads", "C:\\Users\\file.txt"]),
        (LLAMA, ["--threads", "\\\\server\\share\\file.txt"]),
        (LLAMA, ["--threads", "http://example.com/api"]),
        (LLAMA, ["--seed=--log-file=container-to-host.log"]),
        (LLAMA, ["--seed=-l"]),
        (LLAMA, ["--seed=-"]),
        (LLAMA, ["../file"]),
        (LLAMA, ["..\\file"]),
    ],
)
def test_refused(backend: str, flags: list[str]) -> None:
    """What the original refuses, we refuse."""
    with pytest.raises(FlagError):
        check_flags(backend, flags)


@pytest.mark.parametrize("flag", _DANGEROUS)
def test_dangerous_flags_are_none_of_vllms(flag: str) -> None:
    """The list of `TestDangerousFlagsNotAllowed` holds for both backends."""
    assert flag not in allowed_flags(VLLM)


@pytest.mark.parametrize(
    ("backend", "flags"),
    [
        (LLAMA, "-t --threads -tb --threads-batch -C --cpu-mask --prio"),
        (LLAMA, "-c --ctx-size -n --n-predict --keep"),
        (LLAMA, "-b --batch-size -ub --ubatch-size -fa --flash-attn"),
        (
            LLAMA,
            (
                "--samplers -s --seed --temp --temperature --top-k --top-p --min-p --typical "
                "--repeat-last-n --repeat-penalty --presence-penalty --frequency-penalty --mirostat "
                "--mirostat-lr --mirostat-ent --dynatemp-range --dynatemp-exp"
            ),
        ),
        (
            LLAMA,
            (
                "-ngl --gpu-layers --n-gpu-layers -sm --split-mode -ts --tensor-split -mg --main-gpu "
                "-dev --device"
            ),
        ),
        (
            LLAMA,
            (
                "--mlock --mmap --no-mmap -ctk --cache-type-k -ctv --cache-type-v -kvo --kv-offload "
                "-nkvo --no-kv-offload -cram --cache-ram"
            ),
        ),
        (
            LLAMA,
            (
                "--rope-scaling --rope-scale --rope-freq-base --rope-freq-scale --yarn-orig-ctx "
                "--yarn-ext-factor"
            ),
        ),
        (
            LLAMA,
            (
                "-np --parallel -to --timeout -cb --cont-batching --cache-prompt --threads-http "
                "--warmup --no-warmup"
            ),
        ),
        (LLAMA, "--embeddings --embedding --reranking --rerank --metrics --jinja --no-jinja"),
        (
            LLAMA,
            (
                "--spec-draft-n-max --draft-n-max --draft-max --spec-draft-n-min --draft-n-min "
                "--draft-min --spec-draft-p-min --draft-p-min --spec-draft-p-split --draft-p-split "
                "--spec-draft-threads -td --threads-draft --spec-draft-ngl -ngld --gpu-layers-draft "
                "--n-gpu-layers-draft --spec-draft-device -devd --device-draft --spec-type -cd "
                "--ctx-size-draft --spec-draft-type-k -ctkd --cache-type-k-draft --spec-draft-type-v "
                "-ctvd --cache-type-v-draft"
            ),
        ),
        # docker/model-runner#515
        (
            LLAMA,
            (
                "--n-gpu-layers --no-mmap --flash-attn --jinja --top-p --top-k --temp --min-p "
                "--presence-penalty --cache-type-k --cache-type-v --n-predict --threads"
            ),
        ),
        (VLLM, "--tensor-parallel-size -tp --pipeline-parallel-size -pp"),
        (
            VLLM,
            (
                "--max-model-len --max-num-batched-tokens --max-num-seqs --block-size --swap-space "
                "--seed"
            ),
        ),
        (VLLM, "--dtype --quantization -q --kv-cache-dtype"),
        (VLLM, "--enforce-eager --enable-prefix-caching --enable-chunked-prefill"),
        (VLLM, "--tokenizer-mode --max-logprobs"),
        (VLLM, "--revision --load-format --gpu-memory-utilization"),
    ],
)
def test_categories(backend: str, flags: str) -> None:
    """Each flag that the original's tests look for may be set."""
    assert set(flags.split()) <= allowed_flags(backend)


def test_what_we_leave_out_on_purpose() -> None:
    """The rows that are missing above are known, and are these."""
    refused = {
        flag for flag in OUT_OF_OURS if flag not in allowed_flags(LLAMA) | allowed_flags(VLLM)
    }
    assert refused == set(OUT_OF_OURS) - {"--metrics"}


def test_words_of_the_errors() -> None:
    """The flag, the rule and the backend are named, as the original's tests want it."""
    with pytest.raises(FlagError, match=r'"--log-file" is not allowed for backend "llama\.cpp"'):
        check_flags(LLAMA, ["--log-file", "test.log"])
    # The original says "paths are not allowed".
    with pytest.raises(FlagError, match=r"/var/log/test\.log.*flags may not name files"):
        check_flags(LLAMA, ["--threads", "/var/log/test.log"])
