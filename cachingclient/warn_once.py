"""What the user should hear of, each thing once."""

from __future__ import annotations

import logging
import threading
import warnings

from cachingclient.forks.children import free_in_children

logger = logging.getLogger("cachingclient")


class CacheWarning(UserWarning):
    """Something kept the cache from helping. Results are right all the same."""


class NoteKeeper:
    """Passes each text on as a `CacheWarning` once, so that ten thousand steps do not say the same thing.

    Examples
    --------
    >>> import warnings
    >>> notes = NoteKeeper()
    >>> with warnings.catch_warnings(record=True, action="always") as seen:
    ...     notes.add("the disk is full")
    ...     notes.add("the disk is full")
    >>> len(seen)
    1
    """

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._lock = free_in_children(threading.Lock())

    def add(self, text: str, about: str = "") -> None:
        """Warn of something, unless it, or something else ``about`` the same, was said before."""
        with self._lock:
            if (about or text) in self._said:
                return
            self._said.add(about or text)
        # Parts of it may come from stores that others wrote: they do nothing to a terminal.
        text = "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)
        try:
            warnings.warn(text, CacheWarning, stacklevel=2)
        except CacheWarning:
            # Warnings are errors here, but a fault in the cache never fails an analysis.
            logger.warning(text)
