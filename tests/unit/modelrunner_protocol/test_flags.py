"""Which engine flags a user may set."""

import pytest

from modelrunner_protocol.flags import (
    MAX_FLAGS,
    FlagError,
    allowed_flags,
    check_flags,
    mode_of,
    split_flags,
)
from modelrunner_protocol.wire import Mode

LLAMA = "llama.cpp"
VLLM = "vllm"

_DANGEROUS = [
    "--log-file",
    "--output-file",
    "--model-path",
    "--config-file",
    "--lora-path",
    "--grammar-file",
    "--prompt-file",
    "--slot-save-path",
    "-mm",
    "--mmproj",
    "-mmu",
    "--mmproj-url",
    "-jf",
    "--json-schema-file",
    "--chat-template-file",
    "--path",
    "--webui-config-file",
    "--api-key-file",
    "--ssl-key-file",
    "--ssl-cert-file",
    "--models-dir",
    "--models-preset",
    "-md",
    "--model-draft",
    "--lora",
    "--lora-scaled",
    "--control-vector",
    "--control-vector-scaled",
]
"""docker/model-runner `TestDangerousFlagsNotAllowed`, the whole list."""

_OURS = [
    "-m",
    "--model",
    "-hf",
    "--hf-repo",
    "-mu",
    "--model-url",
    "--host",
    "--port",
    "--api-key",
    "--api-prefix",
    "--no-metrics",
    "--no-slots",
    "--log-disable",
    "--rpc",
]
"""What would take the engine from under runnerd, break the way to it, or reach the network."""


@pytest.mark.parametrize("flag", _DANGEROUS + _OURS)
def test_dangerous_flags_are_refused(flag: str) -> None:
    """Neither form of a flag that reads, writes or listens elsewhere gets through."""
    for tokens in ([flag, "x"], [f"{flag}=x"], ["--temp", "0.2", flag]):
        with pytest.raises(FlagError, match=f'runtime flag "{flag}" is not allowed for backend'):
            check_flags(LLAMA, tokens)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--temp 0.2",
        "--temp=0.2 --top-k 40 -fa on",
        "-ngl 99 --ctx-size=8192",
        "--seed=-1",
        "--presence-penalty=-0.5 --frequency-penalty=-.5",
        "--chat-template chatml --jinja",
        "--reasoning on",
        "-rea off --reasoning-budget=-1",
        "-v",
        """--chat-template-kwargs '{"enable_thinking": false}'""",
        "--grammar 'root ::= [a-z]+'",
    ],
)
def test_allowed_lines(line: str) -> None:
    """What people tune passes."""
    check_flags(LLAMA, split_flags(line))


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        (["--temp", "/etc/passwd"], "path separator"),
        (["--temp=a/b"], "path separator"),
        (["/bin/sh"], "path separator"),
        (["C:\\x"], "path separator"),
        (["--temp", "a\0b"], "NUL"),
        (["--temp=--log-file"], "looks like another flag"),
        (["--temp=-foo"], "looks like another flag"),
        (["--seed", "-1"], r"write a negative value as --flag=-1"),
        (["--presence-penalty", "-.5"], r"write a negative value as --flag=-.5"),
        (["-"], 'runtime flag "-" is not allowed'),
        (["--"], 'runtime flag "--" is not allowed'),
        (["--TEMP", "1"], 'runtime flag "--TEMP" is not allowed'),
        (["--tem", "1"], 'runtime flag "--tem" is not allowed'),
        (["--temp "], 'runtime flag "--temp " is not allowed'),
        (["\u2013-log-file", "x"], "a dash that is no hyphen"),
        (["\u2014temp", "1"], "a dash that is no hyphen"),
        (["\u2212\u2212temp"], "a dash that is no hyphen"),
        (["\uff0dm"], "a dash that is no hyphen"),
        (["-mfoo"], 'runtime flag "-mfoo" is not allowed'),
        (["-c4096"], 'runtime flag "-c4096" is not allowed'),
        (["--log_file", "x"], 'runtime flag "--log_file" is not allowed'),
        (["--ctx_size", "1"], 'runtime flag "--ctx_size" is not allowed'),
        (["--=x"], 'runtime flag "--" is not allowed'),
        (["–-temp"] * 300, "300 runtime flags; at most 256"),  # noqa: RUF001 - any token counts
    ],
)
def test_tricks_are_refused(tokens: list[str], says: str) -> None:
    """Paths, hidden flags, abbreviations and too many tokens are refused in words."""
    with pytest.raises(FlagError, match=says):
        check_flags(LLAMA, tokens)


def test_most_flags() -> None:
    """The bound itself is allowed."""
    check_flags(LLAMA, ["-v"] * MAX_FLAGS)


@pytest.mark.parametrize(
    "flag",
    [
        *("--model", "--tokenizer", "--hf-config-path", "--chat-template", "--download-dir"),
        *("--trust-remote-code", "--tool-parser-plugin", "--reasoning-parser-plugin", "--config"),
        *("--host", "--port", "--uds", "--api-key", "--root-path", "--middleware", "--ssl-keyfile"),
        *("--allowed-local-media-path", "--enable-lora", "--lora-modules", "--worker-cls"),
        *("--served-model-name", "--disable-log-stats", "--max_model_len", "--tensor-parallel"),
    ],
)
def test_dangerous_flags_of_vllm_are_refused(flag: str) -> None:
    """No code and no file is named, nobody else listens, and the way to the engine stays ours."""
    for tokens in ([flag, "x"], [f"{flag}=x"]):
        with pytest.raises(FlagError, match=f'"{flag}" is not allowed for backend "vllm"'):
            check_flags(VLLM, tokens)


@pytest.mark.parametrize(
    "line",
    [
        "--tensor-parallel-size 2 --max-model-len=8192 --gpu-memory-utilization 0.8",
        "-tp 2 -pp 1 -q awq --dtype bfloat16 --enforce-eager",
        "--enable-auto-tool-choice --tool-call-parser hermes --reasoning-parser deepseek_r1",
    ],
)
def test_allowed_lines_of_vllm(line: str) -> None:
    """What people tune passes, parsers for tools and thoughts among it."""
    check_flags(VLLM, split_flags(line))


def test_each_engine_has_its_own_flags() -> None:
    """A flag of the one is none of the other's, but for a few that both know."""
    assert allowed_flags(LLAMA) & allowed_flags(VLLM) == {"--seed"}
    with pytest.raises(FlagError, match='"--max-model-len" is not allowed'):
        check_flags(LLAMA, ["--max-model-len", "1"])


@pytest.mark.parametrize(
    ("flags", "mode"),
    [
        ((), None),
        (("--temp", "1"), None),
        (("--embeddings",), Mode.EMBEDDING),
        (("--embedding",), Mode.EMBEDDING),
        (("--rerank",), Mode.RERANKING),
        (("--embeddings", "--pooling", "rank", "--reranking"), Mode.RERANKING),
    ],
)
def test_flags_that_tell_the_mode(flags: tuple[str, ...], mode: Mode | None) -> None:
    """Who sets the engine's own flag need not say the mode as well."""
    assert mode_of(flags) is mode


def test_error_of_the_original() -> None:
    """The beginning of the text is that of docker/model-runner, which clients show."""
    with pytest.raises(FlagError) as failure:
        check_flags(LLAMA, ["--log-file", "x"])
    text = str(failure.value)
    assert text.startswith('runtime flag "--log-file" is not allowed for backend "llama.cpp"')
    assert "docs/reference/runtime-flags.md" in text


def test_unknown_engine_allows_nothing() -> None:
    """An engine without an allowlist takes no flags, as in docker/model-runner."""
    assert allowed_flags("sglang") == frozenset()
    with pytest.raises(FlagError, match="sglang"):
        check_flags("sglang", ["--temp"])


def test_allowlist_is_the_published_one() -> None:
    """The list is read whole: both forms of a flag, and nothing that is no flag."""
    flags = allowed_flags(LLAMA)
    assert len(flags) > 200
    assert {"-c", "--ctx-size", "--spec-draft-n-max", "--verbose"} <= flags
    assert all(flag.startswith("-") and " " not in flag for flag in flags)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", ()),
        ("  --temp   0.2\n--top-k\t40 ", ("--temp", "0.2", "--top-k", "40")),
        ("--a 'x y' \"z w\" q\\ r", ("--a", "x y", "z w", "q r")),
        ("$HOME `id` * ~", ("$HOME", "`id`", "*", "~")),
        ("a;b && c | d > e", ("a;b", "&&", "c", "|", "d", ">", "e")),
        ("--x ''", ("--x", "")),
        ("# no comment", ("#", "no", "comment")),
        ('--a \\\n1 \'b\nc\' "\\"d"', ("--a", "\n1", "b\nc", '"d')),
        ("-v\r\n--jinja", ("-v", "--jinja")),
        ("--a\u00a0b", ("--a\u00a0b",)),
    ],
)
def test_split_like_a_shell_that_expands_nothing(text: str, tokens: tuple[str, ...]) -> None:
    """Quotes work; variables, commands and globs stay as they are."""
    assert split_flags(text) == tokens


@pytest.mark.parametrize("text", ["'open", '"open', "end\\"])
def test_what_cannot_be_split(text: str) -> None:
    """Unclosed quotes are an error that shows the text."""
    with pytest.raises(FlagError, match="cannot be split like a shell line"):
        split_flags(text)
