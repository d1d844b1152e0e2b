"""Docker Model Runner's table of Hugging Face overrides.

Source: docker/model-runner `pkg/inference/hf_overrides_test.go` (`TestHFOverrides_Validate`,
`_JSONParsing`, `_KeyRegexBoundaries`), all rows.
"""

from typing import Any

import pytest

from modelrunner_protocol.configure import ConfigureError, configure_request, told

ALLOWED: list[dict[str, Any]] = [
    {"architectures": ["Qwen3ForSequenceClassification"]},
    {"architectures": ["GteNewModel", "GemmaForSequenceClassification"]},
    {"architectures": ["GemmaForSequenceClassification", "Emu3ForConditionalGeneration"]},
    {"is_original_qwen3_reranker": True},
    {"model_type": "bert"},
    {"num_labels": 2.0},
    {"some_field": None},
    {
        "architectures": ["Qwen3ForSequenceClassification"],
        "classifier_from_token": ["no", "yes"],
        "is_original_qwen3_reranker": True,
    },
    {"_private_config": "value"},
    {"layer2_config": "value"},
    {},
    {"nested": {"valid_key": "data"}},
    {"array": [{"valid_key": "data"}]},
    {"deep": {"level1": {"level2": "value"}}},
    {"rope_scaling": {"type": "linear", "factor": 2.0}},
    {
        "architectures": ["Model"],
        "config": {"option1": True, "option2": "value", "nested": {"deep_option": 42.0}},
    },
    {"config": {"nested": {"deep": "value"}}},
    *(
        {key: "value"}
        for key in ("a", "_", "A", "a1", "_1", "_a", "___", "AbCdEf", "model_type", "modelType")
    ),
]

BAD_KEYS = [
    "--malicious-flag",
    "--hf-overrides",
    "-v",
    "123key",
    "key with spaces",
    'key"injection',
    "key;rm -rf /",
    "key`whoami`",
    "key$HOME",
    "key|cat /etc/passwd",
    "key&malicious",
    "key\ninjection",
    "key\rinjection",
    "key$(whoami)",
    "key{evil}",
    "key[0]",
    "",
    "1",
    "1a",
    "model.type",
    "model:type",
    "model/type",
    "model\\type",
    "模型",
    "🚀",
    # Not in the original's table: Python's `$` would let it pass.
    "key\n",
]


@pytest.mark.parametrize("overrides", ALLOWED, ids=str)
def test_allowed(overrides: dict[str, Any]) -> None:
    """They are taken as they are, and told again."""
    found = configure_request({"model": "m", "vllm": {"hf-overrides": overrides}}).configuration
    assert found.hf_overrides == overrides
    assert told(found) == {"vllm": {"hf-overrides": overrides}}


@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys_are_refused_at_any_depth(key: str) -> None:
    """What could be a flag or a command is no key, neither at the top nor below."""
    for overrides in (
        {key: "value"},
        {"nested": {key: "data"}},
        {"deep": {"level1": {key: "value"}}},
        {"array": [{key: "data"}]},
    ):
        with pytest.raises(ConfigureError, match="may not hold the key") as failure:
            configure_request({"model": "m", "vllm": {"hf-overrides": overrides}})
        # The original tells it at launch, as its own failure (500).
        assert failure.value.status == 400
