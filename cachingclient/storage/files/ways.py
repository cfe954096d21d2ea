"""The ways down from a local folder: one for each call, or one for all that a thread does together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from cachingclient.storage.files.atomic import make_root
from cachingclient.storage.files.descent import Descent

T = TypeVar("T")


class _Held(threading.local):
    """The way on which this thread does what takes several calls."""

    way: Descent | None = None


class Ways:
    """Ways down from a folder.

    Parameters
    ----------
    root
        The folder.
    is_private
        Tells whether folders that others may write to are refused.

    Examples
    --------
    >>> import tempfile
    >>> ways = Ways(tempfile.mkdtemp(), lambda: False)
    >>> def twice():
    ...     with ways.take() as first, ways.take() as second:
    ...         return first is second
    >>> twice(), ways.together(twice)
    (False, True)
    """

    def __init__(self, root: str, is_private: Callable[[], bool]) -> None:
        self._root = root
        self._is_private = is_private
        self._held = _Held()

    def take(self) -> AbstractContextManager[Descent]:
        """Return the way of what this thread does together, or one that ends with its context."""
        return self._new() if self._held.way is None else nullcontext(self._held.way)

    def together(self, action: Callable[[], T]) -> T:
        """Do what takes several calls; folders that one of them opened are open for the next."""
        if self._held.way is not None:
            return action()
        self._held.way = self._new()
        try:
            return action()
        finally:
            self._held.way.close()
            self._held.way = None

    def again(self, action: Callable[[], T], mode: int) -> T:
        """Run an action that makes a file, once more if a folder was removed under it; then the root has this mode."""
        try:
            return action()
        except FileNotFoundError:
            make_root(self._root, mode)
            if self._held.way is not None:
                self._held.way.close()
            return action()

    def _new(self) -> Descent:
        return Descent(self._root, private=self._is_private())
