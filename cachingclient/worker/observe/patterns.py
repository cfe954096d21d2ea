"""Which names of a folder a glob is after: files of other names may come and go."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterator
from itertools import islice
from types import FrameType
from typing import Any

from cachingclient.worker.observe.callers import callers, is_standard

_MOST_FRAMES = 8


def wanted_names(frame: FrameType) -> str:
    """Return the pattern of the names that a listing is for, such as ``"*.root"``; empty if it is for all of them.

    Parameters
    ----------
    frame
        The frame that lists a folder: that of a function of `glob` or `pathlib`, if the step called one.
    """
    compiled = ""
    for one in islice(callers(frame), _MOST_FRAMES):
        code, local = one.f_code, one.f_locals
        if not is_standard(code.co_filename):
            break
        pattern = local.get("pattern")
        if code.co_name == "_glob1" and isinstance(pattern, (str, bytes)):
            return os.fsdecode(pattern)
        if code.co_name in ("_select_from", "select_wildcard") and not compiled:
            # In a class until Python 3.12, in a closure since.
            match: Any = getattr(local.get("self"), "match", None) or local.get("match")
            compiled = str(getattr(getattr(match, "__self__", None), "pattern", ""))
            if not compiled:
                break
        elif compiled and code.co_name in ("glob", "rglob") and isinstance(pattern, (str, os.PathLike)):
            parts = os.fsdecode(pattern).split(os.sep)
            return next((part for part in parts if compiled in _translations(part)), "")
    return ""


def _translations(part: str) -> Iterator[str]:
    """Yield what the releases of Python make of a part of a pattern."""
    yield fnmatch.translate(part)
    translate: Any = getattr(glob, "translate", None)
    if translate is not None:
        yield from (translate(part, recursive=True, include_hidden=True, seps=os.sep),)
