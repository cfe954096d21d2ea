"""Waiting in tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import psutil


def until(true: Callable[[], object], what: str = "it did not become true", seconds: float = 300) -> None:
    """Wait for something that takes a moment to be seen, no longer than a test may hang on the slowest machine."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)


def ended(processes: Iterable[psutil.Process]) -> bool:
    """Whether none of the processes runs any more, whoever has still to take note of it."""
    return not any(map(_runs, processes))


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended between the two questions
        return False
