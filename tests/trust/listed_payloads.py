"""The payloads that are only data, by their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Make = Callable[[], bytes]
PAYLOADS: dict[str, Make] = {}
LENGTHS = {"codec": "containers", "dict": []}


def case(function: Make) -> Make:
    """List a payload by its name."""
    PAYLOADS[function.__name__] = function
    return function


def cases(name: str, variants: dict[str, Any], make: Callable[[Any], bytes]) -> None:
    """List a payload for each of these variants."""
    for variant, value in variants.items():
        PAYLOADS[f"{name} {variant}"] = lambda value=value: make(value)  # type: ignore[misc]
