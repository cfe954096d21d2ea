"""Waiting for the operating system only so long: a mount may hang, and what others name may have no end.

What may hang runs in a helper thread. It has some seconds, and more for all that it tells to have done (`got`): so a
folder of a million files is read in full, and one that does not answer is given up. A helper that is given up ends
when it comes to tell the next time, or stays with the mount that hangs.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from cachingclient.forks.children import reset_in_children

T = TypeVar("T")

NAME = 0.01
"""Seconds that a file which was looked at is good for."""
BYTE = 1e-6
"""Seconds that a byte which was read or written is good for."""
MOST_IDLE = 32


class GivenUpError(Exception):
    """Nobody waits for this any more."""


class _Task:
    """What a helper runs, until when it may, and what came of it."""

    def __init__(self, function: Callable[[], Any], seconds: float) -> None:
        self.function = function
        self.until = time.monotonic() + seconds
        self.given_up = False
        self.processor = 0.0
        self.outcome: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()


class _Helper(threading.Thread):
    """A thread that runs one task after another."""

    def __init__(self) -> None:
        super().__init__(name="cachingclient-patience", daemon=True)
        self.tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self.start()

    def run(self) -> None:
        while (task := self.tasks.get()) is not None:
            before = time.thread_time()
            _of_this_thread.task = task
            value, error = _outcome(task.function)
            task.processor = time.thread_time() - before
            task.outcome.put((value, error))
            del value, error
            _of_this_thread.task = None
            if task.given_up:
                return
            del task  # and with it what the function holds


def _outcome(function: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return function(), None
    except BaseException as error:
        return None, error


class _Idle:
    """Helpers that wait for a task."""

    def __init__(self) -> None:
        self._helpers: list[_Helper] = []
        reset_in_children(self._forget)

    def _forget(self) -> None:
        self._helpers = []  # a forked child has none of these threads

    def take(self) -> _Helper:
        try:
            return self._helpers.pop()
        except IndexError:
            return _Helper()

    def add(self, helper: _Helper) -> None:
        if len(self._helpers) < MOST_IDLE:
            self._helpers.append(helper)
        else:
            helper.tasks.put(None)


_of_this_thread = threading.local()
_idle = _Idle()


def got(seconds: float) -> None:
    """Tell whoever waits that something was done, which is good for some more seconds.

    Raises
    ------
    GivenUpError
        Nobody waits.

    Examples
    --------
    >>> got(NAME)
    """
    task: _Task | None = getattr(_of_this_thread, "task", None)
    if task is not None:
        if task.given_up:
            raise GivenUpError
        task.until += seconds


def begins_anew(seconds: float) -> None:
    """Tell whoever waits that one of several things is done, and the next may take so long.

    Raises
    ------
    GivenUpError
        Nobody waits.

    Examples
    --------
    >>> begins_anew(10)
    """
    task: _Task | None = getattr(_of_this_thread, "task", None)
    if task is not None:
        got(0)
        task.until = max(task.until, time.monotonic() + seconds)


def helped_seconds() -> float:
    """Return the processor time that helpers took for this thread so far.

    Examples
    --------
    >>> before = helped_seconds()
    >>> in_time(lambda: sum(range(100_000)), 10) and helped_seconds() > before
    True
    """
    return getattr(_of_this_thread, "helped", 0.0)


def in_time(function: Callable[[], T], seconds: float, most: float = float("inf")) -> T:
    """Return what a function returns; a helper's own calls are part of what it is at.

    Parameters
    ----------
    function
        What may hang.
    seconds
        How long it may take, beside what it tells to have `got`.
    most
        How long it may take in all.

    Raises
    ------
    TimeoutError
        It took longer.

    Examples
    --------
    >>> in_time(lambda: 42, 10)
    42
    """
    if getattr(_of_this_thread, "task", None) is not None:
        return function()
    task = _Task(function, seconds)
    end = task.until - seconds + most
    helper = _idle.take()
    helper.tasks.put(task)
    while True:
        try:
            value, error = task.outcome.get(timeout=max(0.0, min(task.until, end) - time.monotonic()))
            break
        except queue.Empty:
            if time.monotonic() >= min(task.until, end):
                task.given_up = True
                raise TimeoutError from None
    _idle.add(helper)
    _of_this_thread.helped = helped_seconds() + task.processor
    if error is not None:
        raise error
    result: T = value
    return result
