"""Several Prometheus texts as one: every family once, with the samples of all. Pure.

Source: Prometheus "Exposition formats", text format 0.0.4: all lines of a metric are one group,
and its TYPE line comes before its first sample.
"""

import re
from collections.abc import Iterable
from typing import Final

_TOLD: Final = re.compile(r"# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*)")
_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def merged(texts: Iterable[str]) -> str:
    """One exposition; of equal HELP and TYPE lines the first one stays.

    Each text is a whole one by itself, and the labels of equal samples differ.
    """
    heads: dict[str, dict[str, str]] = {}
    samples: dict[str, list[str]] = {}
    for text in texts:
        family = ""
        for line in text.splitlines():
            if found := _TOLD.match(line):
                family = found[2]
                heads.setdefault(family, {}).setdefault(found[1], line)
            elif name := _NAME.match(line):
                # A histogram's samples have longer names than their family.
                if not family or not name[0].startswith(family):
                    family = name[0]
                samples.setdefault(family, []).append(line)
    names = dict.fromkeys((*heads, *samples))
    lines = (
        line for name in names for line in (*heads.get(name, {}).values(), *samples.get(name, ()))
    )
    return "".join(f"{line}\n" for line in lines)
