"""Prometheus text with more labels on every sample. Pure.

Source: Prometheus "Exposition formats", text format 0.0.4.
"""

import re
from collections.abc import Mapping
from typing import Final

_SAMPLE: Final = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)"  # name
    r"(?:\{((?:[^\"{}]|\"(?:[^\"\\]|\\.)*\")*)\})?"  # labels: braces may stand in quotes
    r"[ \t]+([0-9A-Za-z.+-]+)((?:[ \t]+-?[0-9]+)?)[ \t]*"  # value, time stamp
    r"(?:# \{.*)?"  # an exemplar, which this format does not have
)
_COMMENT: Final = re.compile(
    r"# (?:HELP [a-zA-Z_:][a-zA-Z0-9_:]*( .*)?"
    r"|TYPE [a-zA-Z_:][a-zA-Z0-9_:]* (?:counter|gauge|histogram|summary|untyped))"
)
_LABEL: Final = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*(\"(?:[^\"\\]|\\.)*\")")


def relabel(text: str, labels: Mapping[str, str]) -> str:
    """The same families, each sample with `labels` before its own.

    A label of the sample that has one of these names becomes "exported_<name>", as Prometheus
    itself would call it. Lines that are not exposition format are left out: one of them would
    cost the whole scrape.
    """
    added = ",".join(f'{name}="{escape(value)}"' for name, value in labels.items())
    lines = (_line(line.rstrip("\r"), added, labels) for line in text.split("\n"))
    return "".join(f"{line}\n" for line in lines if line)


def escape(value: str) -> str:
    """A label's value as it stands between quotes."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _line(line: str, added: str, labels: Mapping[str, str]) -> str:
    if line.startswith("#"):
        return line if _COMMENT.fullmatch(line) else ""
    sample = _SAMPLE.fullmatch(line)
    if sample is None or not _is_number(sample[3]):
        return ""
    own = ",".join(
        f"exported_{name}={value}" if name in labels else f"{name}={value}"
        for name, value in _LABEL.findall(sample[2] or "")
    )
    return (
        f"{sample[1]}{{{','.join(part for part in (added, own) if part)}}} {sample[3]}{sample[4]}"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
