"""Reaching the files below a store's folder without following a link on the way.

Folders that others can write to may hold links to anywhere, pipes that nobody writes into, and files that claim any
size. So folders below the root are opened one by one by their parents' handles, and what was opened is looked at
before it is used.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import NamedTuple, Self

from cachingclient.storage.files.layout import INVENTORY
from cachingclient.storage.model import StoreError, StoreUnavailable

_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
FEW = 8
OTHERS_WRITE, OTHERS_ENTER = 0o022, 0o011


def is_private(status: os.stat_result) -> bool:
    """Whether a folder or file is ours, and nobody else may write to it."""
    return status.st_uid in (os.geteuid(), 0) and not status.st_mode & OTHERS_WRITE


def is_readable(root: str) -> bool:
    """Tell whether a folder, and the entries in it if there are any, can be listed."""
    layout = f"{root}/v1"
    there = [root, *([layout] if os.path.lexists(layout) else [])]
    return all(os.access(folder, os.R_OK | os.X_OK) for folder in there)


def may_be_there(root: str, names: Sequence[str]) -> Sequence[str]:
    """Return those of some names below a folder at which there may be something: all, if they are many.

    One look by the whole path, wherever that leads, tells of most entries that they are not there; to go down to one
    takes some ten calls. Nothing is read on this way.
    """
    return names if len(names) > FEW else [name for name in names if not _is_missing(f"{root}/{name}")]


def _is_missing(path: str) -> bool:
    try:
        os.lstat(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


class _Opened(NamedTuple):
    """A folder that is open, and whether others could be below it."""

    handle: int
    exposed: bool


class Descent:
    """The way down from a folder: a context in which folders below it are opened by name.

    Each call of the operating system lets other threads of Python go on, and has to wait for them afterwards: beside
    steps that compute, a thread that writes pays for each with far more than the call itself. So what was opened
    once stays open until the context ends.

    Parameters
    ----------
    root
        The folder, which may itself be reached by a link: its name is the user's.
    private
        Whether folders that others may write to are refused.

    Examples
    --------
    >>> import tempfile
    >>> with Descent(tempfile.mkdtemp()) as way:
    ...     os.stat("1", dir_fd=way.to("v1/steps", make=0o700))
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: '1'
    """

    def __init__(self, root: str, *, private: bool = False) -> None:
        self.root = root
        self._private = private
        self._opened: dict[str, _Opened] = {}
        self._shards: list[str] = []

    def __enter__(self) -> Self:
        self.to("")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, where: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close all; what is asked for afterwards is opened anew."""
        self._shards.clear()
        while self._opened:
            with suppress(OSError):  # it was only a way: nothing was written by it
                os.close(self._opened.popitem()[1].handle)

    def to(self, folder: str, *, make: int = 0) -> int:
        """Return the handle of a folder, which lasts until the context ends; that of a shard until the next `FEW`.

        Parameters
        ----------
        folder
            Its name, relative to the root, with ``/`` between its parts.
        make
            The mode of those that are made where they are missing; 0 makes none.

        Raises
        ------
        OSError
            It is missing, or a part of the way is a link or no folder.
        StoreUnavailable
            The store is private, and others may write to a part of the way.
        """
        return self._at(folder, make).handle

    def _at(self, folder: str, make: int) -> _Opened:
        found = self._opened.get(folder)
        if found is not None:
            return found
        if not folder:
            found = self._checked(os.open(self.root, _FOLDER), self._private)
        else:
            parent, _, part = folder.rpartition("/")
            above = self._at(parent, make)
            found = self._checked(_open_below(part, above.handle, make), above.exposed)
            if "/" in parent:  # a shard, as v1/steps/ab: there are hundreds of them
                self._make_room()
                self._shards.append(folder)
        self._opened[folder] = found
        return found

    def _make_room(self) -> None:
        """Close the shard that was opened first, of as many as stay open."""
        if len(self._shards) >= FEW:
            with suppress(OSError):
                os.close(self._opened.pop(self._shards.pop(0)).handle)

    def _checked(self, handle: int, exposed: bool) -> _Opened:
        """Look at a folder that was opened, if others could be below the one above it."""
        if not exposed:
            return _Opened(handle, False)
        try:
            status = os.fstat(handle)
            if not is_private(status):
                raise StoreUnavailable(
                    f"{self.root} was private, and others may write to it now, so nothing is read from it: "
                    f"chmod -R go-w {shlex.quote(self.root)}"
                )
        except BaseException:
            os.close(handle)
            raise
        return _Opened(handle, bool(status.st_mode & OTHERS_ENTER))

    @contextmanager
    def listed(self, folder: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        """The files in a folder, by its handle; none where it is missing or no folder."""
        try:
            handle = os.open(".", _LISTED, dir_fd=self.to(folder))
        except PermissionError as error:
            if folder.startswith(INVENTORY):  # of what the other folders say
                yield iter(())
                return
            # Empty it is not: entries would seem to be gone, and what belongs to them nobody's.
            raise StoreError(f"{self.root}/{folder} can't be read ({error.strerror})") from error
        except OSError:
            yield iter(())
            return
        try:
            with os.scandir(handle) as entries:
                yield entries
        finally:
            os.close(handle)


def _open_below(part: str, above: int, make: int) -> int:
    """Open a folder in another, which is made with this mode if it is missing, unless that is 0."""
    try:
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
    except FileNotFoundError:
        if not make:
            raise
    _make(part, above, make)
    return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=above)


def _make(part: str, above: int, mode: int) -> None:
    """Make a folder, for the group of the one above where it is to be shared."""
    try:
        os.mkdir(part, 0o700, dir_fd=above)
    except FileExistsError:
        return
    if mode & 0o077:
        made = os.open(part, _LISTED | os.O_NOFOLLOW, dir_fd=above)
        try:
            for change in (
                lambda: os.fchown(made, -1, os.fstat(above).st_gid),  # may be none of our groups
                lambda: os.fchmod(made, mode),  # a file system may have no owners
            ):
                try:
                    change()
                except PermissionError:
                    continue
        finally:
            os.close(made)


def open_file(name: str, folder: int, most: int) -> tuple[int, os.stat_result]:
    """Open a file in a folder to read it; its handle, and what it is.

    Raises
    ------
    OSError
        It is missing, no regular file, or larger than ``most``.
    """
    handle = os.open(name, _FILE, dir_fd=folder)
    status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode) and status.st_size <= most:
        return handle, status
    os.close(handle)
    if stat.S_ISREG(status.st_mode):
        raise OSError(f"it has {status.st_size:,} bytes, and {most:,} at most were expected")
    raise OSError("it is no regular file")
