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
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

NO_LINKS = {errno.EPERM, errno.EACCES, errno.EXDEV, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP}
T = TypeVar("T")
_numbers = itertools.count()
_without_links = threading.Lock()


def place(file: str, target: str, *, overwrite: bool, shared: bool) -> bool:
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

    return in_folder(target, put, shared)


def move(file: str, target: str, *, shared: bool) -> None:
    """Give a file another name, replacing what is there."""
    in_folder(target, lambda: os.replace(file, target), shared)


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


def in_folder(path: str, action: Callable[[], T], shared: bool) -> T:
    """Run an action that makes this path, making its folder first if that is missing."""
    try:
        return action()
    except FileNotFoundError:
        make_folder(os.path.dirname(path), shared)
        return action()


def make_folder(path: str, shared: bool) -> None:
    """Make a folder and those above it (os.makedirs would leave these open to everyone)."""
    if not os.path.isdir(path):
        make_folder(os.path.dirname(path), shared)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if not os.path.isdir(path):
                raise NotADirectoryError(20, "Not a directory", path) from None
            return
        if shared:
            with suppress(PermissionError):  # a file system without owners
                os.chmod(path, 0o2770)
