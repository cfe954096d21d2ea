"""What the store of these tests holds."""

from __future__ import annotations

HOUR = 3600.0
# step, kind, bytes of the array, age in hours, seconds
KEPT = [
    ("select", "result", 80_000, 48, 4.0),
    ("select", "result", 8_000, 30, 2.0),
    ("fill", "result", 800, 2, 1.0),
    ("merge", "result", 8_000_000, 0, 0.5),
    ("select", "code", 80, 48, 0.0),
]


def key(number: int) -> str:
    """The key of the entry with a number; no two begin alike."""
    return f"{number}" + "0" * 30 + f"{number}"
