"""Waiting in tests."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(true: Callable[[], object], what: str = "it did not become true", seconds: float = 300) -> None:
    """Wait for something that takes a moment to be seen, no longer than a test may hang on the slowest machine."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)
