"""Which steps are observed in this process, and by whom an event of a thread counts.

A step's observation is a context variable: coroutines keep it, and what goes through an event loop on behalf of a step
(such as fsspec's) carries it along. Threads that a step starts and calls that it hands to a pool are given it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from cachingclient.forks.children import free_in_children
from cachingclient.worker.observe.callers import is_by_user_outside
from cachingclient.worker.observe.record import Observed

Observers = tuple[Observed, ...]

mine: ContextVar[Observers | None] = ContextVar("cachingclient_observed", default=())
"""The observations of the current context, the outermost first; None where nothing counts."""

running: Observers = ()
"""The observations that are open in this process."""
outside: Observed | None = None
"""What code of the user's did outside of steps, where that is observed: `observe_outside` says why."""

_lock = free_in_children(threading.Lock())
_OWNED_THREADS = ("Dask-", "IO loop", "Profile", "Nanny", "AsyncProcess", "cachingclient")


def observers() -> Observers:
    """Return the observations that what happens now counts for.

    A thread that belongs to no step, such as one of a library's long-lived pool, may work for any of those that run:
    it counts for all of them.
    """
    if not running and outside is None:
        return ()
    found = mine.get()
    if found is None:
        return ()
    if found and found[-1].is_open:
        return found if len(found) == 1 else tuple(one for one in found if one.is_open)
    if running and _belongs_to_nobody():
        return running
    return () if outside is None or not is_by_user_outside() else (outside,)


def is_of_step() -> bool:
    """Whether what happens now counts for a step, and not only for what is done outside of steps."""
    found = observers()
    return bool(found) and found[0] is not outside


def _belongs_to_nobody() -> bool:
    thread = threading.current_thread()
    if thread is threading.main_thread() or thread.name.startswith(_OWNED_THREADS):
        return False
    return asyncio._get_running_loop() is None


def observe_outside() -> None:
    """Observe what code of the user's does outside of steps too, as while its modules are imported, from now on.

    What it reads there may come back in a step: a module may call its own loader behind `functools.cache`.
    """
    global outside
    if outside is None:
        outside = Observed()


def open_observation(observed: Observed) -> None:
    """Add an observation to those that are open."""
    global running
    with _lock:
        running = (*running, observed)
        if len(running) > 1:
            outer = mine.get() or ()
            for other in running:
                if other is not observed and other not in outer:
                    other.was_alone = observed.was_alone = False


def close_observation(observed: Observed) -> None:
    """Take an observation from those that are open."""
    global running
    with _lock:
        running = tuple(one for one in running if one is not observed)


@contextlib.contextmanager
def unobserved() -> Iterator[None]:
    """Let nothing count that happens inside: what the cache itself reads and writes.

    Examples
    --------
    >>> from cachingclient.worker.observe import observing, unobserved
    >>> with observing() as seen, unobserved():
    ...     open("/etc/hostname-of-nobody", "a") if False else None
    >>> seen.writes
    {}
    """
    token = mine.set(None)
    try:
        yield
    finally:
        mine.reset(token)


def carry(function: Any, found: Observers | None) -> Any:
    """Return a function that runs on behalf of the steps given, in whichever thread."""

    @functools.wraps(function)
    def carried(*args: Any, **kwargs: Any) -> Any:
        token = mine.set(found)
        try:
            return function(*args, **kwargs)
        finally:
            mine.reset(token)

    return carried


def follow_threads() -> None:
    """Give what a step starts in other threads the step's observation."""
    start = threading.Thread.start
    submit: Any = concurrent.futures.ThreadPoolExecutor.submit

    @functools.wraps(start)
    def observed_start(self: threading.Thread) -> None:
        found = mine.get()
        if found != () and "run" not in vars(self):
            run = self.run

            def carried() -> None:
                del self.run
                carry(run, found)()

            self.run = carried  # type: ignore[method-assign]
        start(self)

    @functools.wraps(submit)
    def observed_submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        found = mine.get()
        return submit(self, fn if found == () else carry(fn, found), *args, **kwargs)

    threading.Thread.start = observed_start  # type: ignore[method-assign]
    concurrent.futures.ThreadPoolExecutor.submit = observed_submit  # type: ignore[method-assign]


def _after_fork() -> None:
    """A forked child has one thread: only its own observations go on, in a copy that nobody reads."""
    global running, _lock
    _lock = free_in_children(threading.Lock())
    running = tuple(one for one in mine.get() or () if one.is_open)


os.register_at_fork(after_in_child=_after_fork)
