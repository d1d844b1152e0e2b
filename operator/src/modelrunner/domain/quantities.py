"""Kubernetes quantities ("512Mi", "1.5G", "100m") as numbers."""

import re
from decimal import Decimal
from typing import Final

MIB: Final = 1024**2
_SUFFIXES: Final = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
_QUANTITY: Final = re.compile(
    r"(?P<number>[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30}))"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,2})|(?P<suffix>[numkMGTPE]|[KMGTPE]i)?)"
)


def parse_quantity(text: str) -> Decimal:
    """The number behind a Kubernetes quantity.

    Raises:
        ValueError: not a quantity; the message says what one looks like.
    """
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError(f'{text[:64]!r} is not a quantity: use for example "500Mi" or "20Gi"')
    value = Decimal(found["number"])
    if found["exponent"]:
        return value * Decimal(10) ** int(found["exponent"])
    return value * _SUFFIXES[found["suffix"] or ""]
