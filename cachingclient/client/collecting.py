"""Collecting garbage less often while a graph is planned: what planning makes lives on, so there is little to find.

A plan of 10,000 tasks makes some hundred thousand objects. Python looks through the newest of them after each 700, and
through older ones again and again: that took a third of the time. What is new when a plan is done would be looked
through right after it; so, if it is much, it counts as old at once.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cachingclient.forks.children import free_in_children, reset_in_children

RARELY = 1_000_000
"""After so many new objects garbage is collected, as of other threads meanwhile."""
MUCH = 20_000
"""So many new objects count as old once a plan is done. After fewer they don't: young garbage is found sooner."""


class _Threshold:
    """The threshold of the process, while some threads plan. Whoever else sets it meanwhile has the last word."""

    def __init__(self) -> None:
        self._lock = free_in_children(threading.Lock())
        self._planning = 0
        self._before: tuple[int, int, int] | None = None
        reset_in_children(self._end)  # the threads that plan are not in a forked child

    def enter(self) -> None:
        with self._lock:
            self._planning += 1
            now = gc.get_threshold()
            if self._planning == 1 and 0 < now[0] < RARELY:
                self._before = now
                gc.set_threshold(RARELY, *now[1:])

    def leave(self) -> None:
        with self._lock:
            self._planning -= 1
            if self._planning <= 0:
                self._end()

    def _end(self) -> None:
        self._planning = 0
        if self._before is not None and gc.get_threshold()[0] == RARELY:
            if gc.get_count()[0] > MUCH and not gc.get_freeze_count():
                gc.freeze()  # moves all objects out of the collector's sight, and `unfreeze` moves them among the old;
                gc.unfreeze()  # what somebody else has frozen would come back too
            gc.set_threshold(*self._before)
        self._before = None


_threshold = _Threshold()


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Collect garbage after `RARELY` new objects, until the last thread that is within this has left it.

    Examples
    --------
    >>> before = gc.get_threshold()
    >>> with collecting_rarely():
    ...     gc.get_threshold()[0]
    1000000
    >>> gc.get_threshold() == before
    True
    """
    _threshold.enter()
    try:
        yield
    finally:
        _threshold.leave()
