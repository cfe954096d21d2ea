"""Which arguments of a task others may see too: a change of these is more than the step's own affair.

What came with a task that another process sent is a copy of its own: a list of settings that it fills, a random
generator that it draws from. What another step gave is the very object that the worker holds for all who take it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distributed import get_worker
from distributed.worker import thread_state

from cachingclient.worker.process import process


def shared_arguments(dependencies: int) -> Callable[[object], bool]:
    """Return what tells of an argument of this thread's task whether others may see what becomes of it.

    Parameters
    ----------
    dependencies
        How many steps the task takes results from.

    Examples
    --------
    >>> shared_arguments(1)([1, 2])  # of no worker's task: nothing is known of it
    True
    """
    if not process().gets_copies:
        return any_argument
    if not dependencies:
        return _none
    try:
        worker = get_worker()
        task = worker.state.tasks[thread_state.key]
        given: list[Any] = [worker.data[each.key] for each in task.dependencies]
    except (ValueError, AttributeError, KeyError):  # it runs in a pool, or has no key
        return any_argument
    ids = {id(each) for each in given}
    return lambda value: bool(given) and _holds(value, ids)


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
