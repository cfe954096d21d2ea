"""A user's error begins with the user's code: the frames of this package go where dask's own go.

dask leaves out its own frames when a worker turns an exception into a message, for the client and for its log. Those
between dask's and the user's are ours, and are left out there too; so are those between a step and one that it calls.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any

import dask
from distributed import utils

from cachingclient.worker.observe.wrap import replace

_OWN = os.path.dirname(os.path.dirname(__file__)) + os.sep
_DASKS = os.path.join("dask", "_task_spec")
_OWN_FRAMES = r"cachingclient[\\/](step|client[\\/]hooks|worker[\\/](context|direct_call|load|tasks))\.py"
"""The modules whose frames stand between a user's code and function, as dask names such in its configuration."""


@functools.cache
def leave_out_own_frames() -> None:
    """Leave out the frames of this package in the errors of this process from now on."""
    replace(utils, "get_traceback", _make)


def _make(original: Callable[[], TracebackType | None]) -> Any:
    def get_traceback() -> TracebackType | None:
        return without_own_frames(original())

    return get_traceback


def without_own_frames(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of this package, unless the error is its own.

    Examples
    --------
    >>> without_own_frames(None)
    """
    first = traceback
    while first is not None and _is_between(first):
        first = first.tb_next
    if first is None:
        return traceback
    each = first
    while each.tb_next is not None:
        after: TracebackType | None = each.tb_next
        while after is not None and _is_own(after):
            after = after.tb_next
        if after is None:
            break  # the error was raised there
        each.tb_next = after
        each = after
    return first


def _is_own(traceback: TracebackType) -> bool:
    return traceback.tb_frame.f_code.co_filename.startswith(_OWN)


def _is_between(traceback: TracebackType) -> bool:
    """Whether a frame is ours, or dask's between ours and the user's."""
    return _is_own(traceback) or _DASKS in traceback.tb_frame.f_code.co_filename


def hide_own_frames() -> None:
    """Hide our own frames in the tracebacks that users see, as dask hides its own."""
    shortened = dask.config.get("admin.traceback.shorten")
    if _OWN_FRAMES not in shortened:
        dask.config.set({"admin.traceback.shorten": [*shortened, _OWN_FRAMES]})
