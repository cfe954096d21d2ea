"""Files among the arguments that compiled code opens by itself: the kernel tells, by inotify.

A path among the arguments may be read, written, or only handed on. What Python opens is told by its audit events; a
library in C or C++ may open the file without any. Linux tells of every open of a file that is watched, and for a folder
of every open in it. Elsewhere, and where there are no watches left, nobody can tell, and the file counts as read.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from collections.abc import Iterable

MOST_WATCHED = 256
_IN_OPEN = 0x00000020
_IN_NONBLOCK, _IN_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_EVENT = struct.Struct("iIII")
_local = threading.local()


class Watch:
    """Watches files and folders while a step runs.

    Parameters
    ----------
    paths
        Their absolute paths.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     with Watch([file.name]) as watch:
    ...         content = open(file.name).read()
    >>> watch.opened in ({file.name}, None)
    True
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = list(paths)
        self._watched: dict[int, str] = {}
        self._lines: _Lines | None = None
        self.opened: set[str] | None = set()
        """Which of the files, and which files in the folders, were opened; None if nobody can tell."""

    def __enter__(self) -> Watch:
        self._lines = lines = _lines() if self._paths else None
        if self._paths and (lines is None or len(self._paths) > MOST_WATCHED):
            self.opened = None
        elif lines is not None:
            for path in self._paths:
                number = lines.libc.inotify_add_watch(lines.number, os.fsencode(path), _IN_OPEN)
                if number < 0:
                    self.opened = None
                    break
                self._watched[number] = path
            lines.watches.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        lines = self._lines
        if lines is None or self not in lines.watches:
            return
        lines.hand_out()
        lines.watches.remove(self)
        others = {number for watch in lines.watches for number in watch._watched}
        for number in self._watched.keys() - others:
            lines.libc.inotify_rm_watch(lines.number, number)

    def hear(self, number: int, name: str) -> None:
        """Note that a file was opened, if it is one of these."""
        path = self._watched.get(number)
        if path is not None and self.opened is not None:
            self.opened.add(os.path.join(path, name) if name else path)


class _Lines:
    """One thread's line to the kernel."""

    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.number = self.libc.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC)
        if self.number < 0:
            raise OSError(ctypes.get_errno(), "no inotify instance")
        self.watches: list[Watch] = []
        """Those of the steps that run in this thread, one inside the other."""

    def hand_out(self) -> None:
        """Tell all watches of what was opened so far."""
        for number, name in self.events():
            for watch in self.watches:
                watch.hear(number, name)

    def events(self) -> Iterable[tuple[int, str]]:
        """Yield the watch and the name of each event so far."""
        while True:
            try:
                data = os.read(self.number, 1 << 16)
            except BlockingIOError:
                return
            position = 0
            while position < len(data):
                number, _, _, length = _EVENT.unpack_from(data, position)
                position += _EVENT.size
                name = data[position : position + length].rstrip(b"\0")
                position += length
                yield number, os.fsdecode(name)

    def __del__(self) -> None:
        if getattr(self, "number", -1) >= 0:
            os.close(self.number)


def _lines() -> _Lines | None:
    """Return this thread's line to the kernel; None where there is none."""
    if not hasattr(_local, "lines"):
        try:
            _local.lines = _Lines()
        except (OSError, AttributeError):
            _local.lines = None
    lines: _Lines | None = _local.lines
    return lines


def _forget() -> None:
    """Have a forked child open its own: a shared one would tell either process of the other's files."""
    _local.__dict__.pop("lines", None)


os.register_at_fork(after_in_child=_forget)
