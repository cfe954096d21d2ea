"""Giving a finished file its name in a local folder, and making folders.

A hard link is what puts a whole file under a name that must not be taken yet. Where file systems have none (exFAT,
AFS between folders, some that are mounted through FUSE) the name is looked at first: two processes that race for it
may then both be told that they won, and the later one's file stays, whole.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

NO_LINKS = {errno.EPERM, errno.EACCES, errno.EXDEV, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP}
T = TypeVar("T")
_numbers = itertools.count()
_without_links = threading.Lock()


PRIVATE, SHARED = 0o700, 0o2770  # the modes of folders


def mode_of(folder: str, mode: int) -> int:
    """The mode that new folders get beside this one, if it is there; else the one that is asked for."""
    try:
        return stat.S_IMODE(os.stat(folder).st_mode) & 0o2775 | PRIVATE
    except OSError:
        return mode


def place(file: str, target: str, *, overwrite: bool, mode: int) -> bool:
    """Put a file under another name as well; False if that is taken by another."""

    def put() -> bool:
        if overwrite:
            _replace(file, target)
            return True
        try:
            os.link(file, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            with _without_links:
                if os.path.exists(target):
                    return False
                _replace(file, target)
        return True

    return in_folder(target, put, mode)


def move(file: str, target: str, *, mode: int) -> None:
    """Give a file another name, replacing what is there."""
    in_folder(target, lambda: os.replace(file, target), mode)


def _replace(file: str, target: str) -> None:
    spare = f"{file}-{next(_numbers)}"
    try:
        os.link(file, spare)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copy(file, spare)
    try:
        os.replace(spare, target)
    except OSError:
        os.unlink(spare)
        raise


def in_folder(path: str, action: Callable[[], T], mode: int) -> T:
    """Run an action that makes this path, making its folder first if that is missing."""
    try:
        return action()
    except FileNotFoundError:
        make_folder(os.path.dirname(path), mode)
        return action()


def make_folder(path: str, mode: int) -> None:
    """Make a folder and those above it (os.makedirs would leave these open to everyone)."""
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    make_folder(above, mode)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not os.path.isdir(path):
            raise NotADirectoryError(20, "Not a directory", path) from None
        return
    if mode != PRIVATE:
        with suppress(PermissionError):  # not one of our groups
            os.chown(path, -1, os.stat(above).st_gid)
        with suppress(PermissionError):  # a file system without owners
            os.chmod(path, mode)


def make_file(path: str, mode: int) -> int:
    """Make a new file, as open as a folder of this mode; its handle."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    handle = in_folder(path, lambda: os.open(path, flags, 0o600), mode)
    if mode != PRIVATE:
        with suppress(PermissionError):  # a file system without owners
            os.fchmod(handle, mode & 0o666)  # whatever the umask says
    return handle
