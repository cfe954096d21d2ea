"""What the user should hear of, each thing once, and at the line of theirs that led to it."""

from __future__ import annotations

import functools
import logging
import os
import sys
import sysconfig
import threading
import warnings
from types import FrameType
from typing import Any, NamedTuple

from cachingclient.forks.children import free_in_children

logger = logging.getLogger("cachingclient")
_LIBRARIES = tuple(
    f"{os.path.abspath(folder)}{os.sep}"
    for folder in {os.path.dirname(__file__), *map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib"))}
)
_INSTALLED = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))


class CacheWarning(UserWarning):
    """Something kept the cache from helping. Results are right all the same."""


class Place(NamedTuple):
    """A line of the user's, as Python's warnings take it."""

    filename: str
    lineno: int
    module: str
    registry: dict[Any, Any]


_last_call: list[Place] = []
"""Where the user's code last called for work: what threads of our own warn of then came of that."""


def note_call() -> None:
    """Remember the line of the user's that is calling, if it is the user's."""
    if (place := _users_place()) is not None:
        _last_call[:] = [place]


def warn_user(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn of something at the line of the user's that is calling, or called last; at ours where none did.

    ``stacklevel`` can't say that: how many frames of dask's, of ours and of other libraries lie between differs from
    call to call, and a thread that reads, or hears of workers, has none of the user's.

    Parameters
    ----------
    text
        What there is to say.
    category
        The kind of warning.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True, action="always") as seen:
    ...     warn_user("the disk is full")
    >>> seen[0].filename == warn_user.__code__.co_filename
    False
    """
    place = _users_place() or next(iter(_last_call), None)
    if place is None:
        warnings.warn(text, category, stacklevel=2)
    else:
        warnings.warn_explicit(text, category, place.filename, place.lineno, place.module, place.registry)


def _users_place() -> Place | None:
    """Return the innermost line on the stack that is no library's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_librarys(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return None
    names = frame.f_globals
    registry = names.setdefault("__warningregistry__", {})
    return Place(frame.f_code.co_filename, frame.f_lineno, str(names.get("__name__") or "<string>"), registry)


@functools.lru_cache(maxsize=1000)
def _is_librarys(filename: str) -> bool:
    """Tell a file of an installed library, of the standard library or of this package."""
    known = filename.startswith((*_LIBRARIES, "<frozen "))
    return known or any(name in filename for name in _INSTALLED)


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
            warn_user(text, CacheWarning)
        except CacheWarning:
            # Warnings are errors here, but a fault in the cache never fails an analysis.
            logger.warning(text)
