"""Paths that are relative to an open folder, as ``dir_fd`` says: the interpreter tells of ``os.open`` without it."""

from __future__ import annotations

import fcntl
import functools
import os
import sys
import threading
from types import CodeType, FrameType
from typing import Any

_opening = threading.local()
_stand_ins: set[CodeType] = set()


def install() -> None:
    """Have the event of ``os.open`` know the open folder."""
    original = os.open

    def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if dir_fd is None:
            return original(path, flags, mode)
        _opening.folder = dir_fd
        try:
            return original(path, flags, mode, dir_fd=dir_fd)
        finally:
            del _opening.folder

    stands_in(opened.__code__)
    functools.update_wrapper(opened, original)
    for module in (os, sys.modules["posix"]):  # it is pickled and identified under the second
        vars(module)["open"] = opened
    os.supports_dir_fd.add(opened)


def who_opens(frame: FrameType) -> FrameType:
    """Return the frame that caused an event: what stands for ``os.open`` and its like is nobody who opens."""
    return frame if frame.f_code not in _stand_ins or frame.f_back is None else frame.f_back


def stands_in(code: CodeType) -> None:
    """Take the code of a function for what it stands for, which the interpreter tells of as called by others."""
    _stand_ins.add(code)


def from_where_it_is_opened(path: Any) -> Any:
    """Return the path that is being opened, made absolute if it is relative to an open folder."""
    return from_folder(path, getattr(_opening, "folder", -1))


def from_folder(path: Any, folder: int) -> Any:
    """Return a path that is relative to an open folder as one that is not.

    Examples
    --------
    >>> from_folder("jec.json", -1)
    'jec.json'
    """
    if folder == -1 or (name := os.fsdecode(path)).startswith(os.sep):
        return path
    return os.path.join(path_of(folder), name)


def path_of(descriptor: int) -> str:
    """Return where an open file or folder lies, as Linux tells it, or macOS."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:
        told = fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024))  # type: ignore[attr-defined]
        return os.fsdecode(told.rstrip(b"\0"))
