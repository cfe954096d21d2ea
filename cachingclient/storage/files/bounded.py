"""File operations that end in time, on mounts that may hang: then a store is as one whose server does not answer."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from cachingclient.forks.children import free_in_children
from cachingclient.forks.patience import begins_anew, in_time
from cachingclient.storage.limits import limits
from cachingclient.storage.model import StoreUnavailable

FIRST_REST, LONGEST_REST = 30.0, 600.0
P = ParamSpec("P")
T = TypeVar("T")


class Rest:
    """Leaves a folder alone for a while after an operation that took too long, each time for longer.

    Examples
    --------
    >>> Rest("file:///scratch/cache").bounded(lambda: 42)
    42
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._seconds = FIRST_REST
        self._until = float("-inf")
        self._lock = free_in_children(threading.Lock())

    def bounded(self, action: Callable[[], T]) -> T:
        """Return what an action returns; each of those inside another one has its own time.

        Raises
        ------
        StoreUnavailable
            It took longer than the limit, or one did shortly before.
        """
        seconds = limits().seconds
        if time.monotonic() < self._until:
            raise StoreUnavailable(f"{self.url} did not answer within {seconds:g} s, and is left alone for a while")
        begins_anew(seconds)
        try:
            value = in_time(action, seconds)
        except TimeoutError:
            with self._lock:
                if time.monotonic() >= self._until:  # else another one has just said so
                    self._until = time.monotonic() + self._seconds
                    self._seconds = min(2 * self._seconds, LONGEST_REST)
            raise StoreUnavailable(f"{self.url} did not answer within {seconds:g} s") from None
        self._seconds = FIRST_REST
        return value


class _Resting(Protocol):
    rest: Rest


S = TypeVar("S", bound=_Resting)


def bounded(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Return a folder's method that ends in time."""

    @functools.wraps(method)
    def in_bounds(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.rest.bounded(functools.partial(method, self, *args, **kwargs))

    return in_bounds
