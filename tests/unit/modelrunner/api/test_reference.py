"""The reference pages hold every field and every flag."""

from modelrunner.api.reference import custom_resources_page, runtime_flags_page
from modelrunner_protocol.flags import allowed_flags


def test_the_page_tells_type_need_and_refusal() -> None:
    """A field's row and the sentence with which the API server refuses it."""
    page = custom_resources_page()
    assert "| `spec.source.http.url` | string, required | The file's address" in page
    assert (
        "| `spec.config.mode` | `completion` or `embedding` or `reranking` or `image-generation` |"
        in page
    )
    assert "| `spec.resources.limits` | map of integer or string, at most 12 entries |" in page
    assert "* `spec.keepAlive`: use a duration such as" in page
    assert "* `spec.aliases[]`: use letters" in page


def test_a_cell_cannot_break_its_table() -> None:
    """Every row of a table has its three cells."""
    rows = [line for line in custom_resources_page().splitlines() if line.startswith("| `")]
    assert rows
    assert all(line.replace("\\|", "").count("|") == 4 for line in rows)


def test_flags_are_listed_by_group() -> None:
    """Each group of the allowlist is one line; empty groups and blank lines are nothing."""
    page = runtime_flags_page({"engine": "# empty\n# one\n-a\n\n--b\n# two\n-c\n"})
    assert "## engine\n\n* one: `-a`, `--b`\n* two: `-c`\n" in page


def test_no_flag_is_lost() -> None:
    """What the operator accepts is what the page lists."""
    flags = sorted(allowed_flags("llama.cpp"))
    page = runtime_flags_page({"llama.cpp": "\n".join(["# all", *flags])})
    assert all(f"`{flag}`" in page for flag in flags)
