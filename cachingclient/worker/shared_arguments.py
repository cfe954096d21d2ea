"""Which arguments of a task others may see too: a change of these is more than the step's own affair.

What came with a task that another process sent is a copy of its own: a list of settings that it fills, a random
generator that it draws from. What another step gave is the very object that the worker holds for all who take it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextvars import ContextVar
from typing import Any

from distributed import get_worker
from distributed.worker import thread_state

from cachingclient.graph import Key
from cachingclient.worker.process import process

read_for_task: ContextVar[tuple[Any, ...]] = ContextVar("cachingclient_read_for_task", default=())
"""The kept results that the task of this thread read for itself alone."""


def shared_arguments(dependencies: int, own: Collection[Key] = ()) -> Callable[[object], bool]:
    """Return what tells of an argument of this thread's task whether others may see what becomes of it.

    Parameters
    ----------
    dependencies
        How many steps the task takes results from.
    own
        Those of which nobody else takes the result, as in a collection's graph, where a library changes what it made
        itself.

    Examples
    --------
    >>> shared_arguments(1)([1, 2])  # of no worker's task: nothing is known of it
    True
    """
    copies = process().gets_copies
    if copies and not dependencies:
        return _none
    read = () if copies else read_for_task.get()
    if not copies and not own and not read:
        return any_argument
    try:
        worker = get_worker()
        keys = {each.key for each in worker.state.tasks[thread_state.key].dependencies}
        # What came with the task is the caller's too where no copy was made of it.
        known: list[Any] = [worker.data[key] for key in (keys.difference(own) if copies else keys.intersection(own))]
        known += read
    except (ValueError, AttributeError, KeyError):  # it runs in a pool, or has no key
        return any_argument
    ids = {id(each) for each in known}
    return lambda value: _holds(value, ids) is copies


def any_argument(value: object) -> bool:
    """Say that others may see it."""
    return True


def _none(value: object) -> bool:
    return False


def _holds(value: Any, ids: set[int]) -> bool:
    """Whether a value is one of these objects, or a container of them, as a graph makes them of what it refers to."""
    if id(value) in ids:
        return True
    if type(value) is dict:
        return any(_holds(each, ids) for pair in value.items() for each in pair)
    return type(value) in (list, tuple, set) and any(_holds(each, ids) for each in value)
