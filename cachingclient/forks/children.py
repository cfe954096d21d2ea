"""What a forked child must not take over: locks that threads of its parent held, and threads that it has not got.

Tools fork in the middle of everything: a pool that a step starts, a library that runs a helper. The child then has
a copy of each lock as it was, and nobody to let go of it.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

L = TypeVar("L")

_locks: weakref.WeakSet[Any] = weakref.WeakSet()
_resets: list[weakref.WeakMethod[Callable[[], None]]] = []
_children = 0


def free_in_children(lock: L) -> L:
    """Return a lock or a condition that a forked child finds free, whoever held it in the parent.

    Examples
    --------
    >>> import threading
    >>> with free_in_children(threading.Lock()) as held:
    ...     held
    True
    """
    _locks.add(lock)
    return lock


def reset_in_children(method: Callable[[], None]) -> None:
    """Have a method called in forked children, as long as its object lives there."""
    _resets[:] = [each for each in _resets if each() is not None]
    _resets.append(weakref.WeakMethod(method))


def is_forked() -> bool:
    """Tell whether this process is a forked child of one that had imported this package.

    Examples
    --------
    >>> is_forked()
    False
    """
    return _children > 0


def _in_child() -> None:
    global _children
    _children += 1
    for lock in list(_locks):
        lock._at_fork_reinit()  # as threading and logging do with their own
    for reference in list(_resets):
        method = reference()
        if method is not None:
            method()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
