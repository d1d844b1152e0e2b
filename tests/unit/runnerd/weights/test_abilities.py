"""What a chat template shows of its model."""

import pytest

from runnerd.weights.abilities import abilities


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("", ()),
        ("{% for message in messages %}{{ message['content'] }}{% endfor %}", ()),
        ("{%- if tools %}{{ tools | tojson }}{%- endif %}", ("tools",)),
        ("{% if enable_thinking is false %}<think></think>{% endif %}", ("thinking",)),
        ("{% if tools %}{% endif %}{{ message.reasoning_content }}", ("tools", "thinking")),
        ("{{ reasoning_effort }}", ("thinking",)),
    ],
    ids=range(6),
)
def test_templates(template: str, expected: tuple[str, ...]) -> None:
    """A model that can use tools, or think and not think, names them in its template."""
    assert abilities(template) == expected
