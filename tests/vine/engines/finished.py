"""Waiting for tasks."""

from __future__ import annotations

from distributed import Future


def finish(futures: list[Future]) -> None:
    """Wait until all have ended, well or not."""
    for future in futures:
        future.exception(timeout=300)
