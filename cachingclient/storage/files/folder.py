"""The contract of a folder: all that a store of files asks of the place where the files are.

Names are relative to the store's root, with ``/`` between their parts. Missing folders are made when something is
written into them, so the whole place may be deleted at any time.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import NamedTuple, TypeVar

from cachingclient.storage.files.bounded import Rest
from cachingclient.storage.model import Frame

MOST_FETCHED = 64 << 20  # bytes of a description or a file of the inventory; what has more is none of these
T = TypeVar("T")


class FileStat(NamedTuple):
    """A file as a listing shows it."""

    name: str
    nbytes: int
    modified: float  # unix time; for a description, its last use


class ChangedError(Exception):
    """The bytes that were written are not those that were promised."""


class Unread(bytes):
    """What stands for the content of a file that may not be read: no bytes, and why.

    Attributes
    ----------
    why
        What the system says.

    Examples
    --------
    >>> unread = Unread.because(PermissionError(13, "Permission denied"))
    >>> unread, unread.why
    (b'', 'Permission denied')
    """

    why: str = ""

    @classmethod
    def because(cls, error: OSError) -> Unread:
        """Return one with the reason that an error gives."""
        unread = cls()
        unread.why = error.strerror or str(error)
        return unread


class Folder(ABC):
    """A place for files. A missing file is never an error, except to ``open``."""

    url: str
    read_only: bool = False
    private: bool = False  # whether nobody else may write there
    guarded: bool = False  # whether a folder that was private is refused when others may write there later
    memory_map: bool = False  # whether what is opened may lie on the file itself, which others may change
    packs: bool = False  # whether `put_together` makes files
    checks_are_cheap: bool = False  # whether asking for a file's size costs no round trip
    latency: float = 0.0005
    bandwidth: float = 1e9
    rest: Rest | None = None  # what ends calls that may hang

    def together(self, action: Callable[[], T]) -> T:
        """Do what takes several calls, one after the other, in one thread: each of them would change to another."""
        return action() if self.rest is None else self.rest.bounded(action)

    @abstractmethod
    def fetch(self, names: Sequence[str]) -> dict[str, bytes]:
        """Read many small files in one batched call; missing ones are absent, what is no small file is empty.

        A file that may not be read is `Unread`, where the folder can tell.
        """

    @abstractmethod
    def open(self, name: str, nbytes: int | None = None) -> Frame:
        """The content of a file as private, writable memory; ``nbytes`` is its size, if known. FileNotFoundError."""

    @abstractmethod
    def put(self, names: Sequence[str], frames: Iterable[Frame], *, digest: str = "", overwrite: bool = False) -> bool:
        """Make one file, whole or not at all, under each of the names; a name that is taken keeps its file.

        True if the first name is ours. With a ``digest``, the bytes that were written must have it, else ChangedError
        is raised and nothing is left.
        """

    def put_together(self, files: Sequence[tuple[Sequence[str], bytes]]) -> dict[str, int]:
        """Make many small files at once, each under its names, where the folder can do that for less than each costs.

        Names that are taken keep their files. The names that are ours now, each with the number of its file.
        """
        return {}

    @abstractmethod
    def stat(self, names: Sequence[str]) -> dict[str, FileStat]:
        """Size and time of many files in one batched call; missing ones are absent."""

    @abstractmethod
    def remove(self, names: Sequence[str]) -> int:
        """Remove files; returns the bytes that this freed."""

    @abstractmethod
    def walk(self, prefix: str) -> Iterator[FileStat]:
        """Every file below a prefix, in no order."""

    def touch(self, names: Sequence[str]) -> bool:
        """Set the files' time to now where that is cheap; else do nothing and return False."""
        return False

    def total(self, prefix: str) -> tuple[int, int]:
        """How many files there are below a prefix, and their bytes."""
        count = nbytes = 0
        for status in self.walk(prefix):
            count += 1
            nbytes += status.nbytes
        return count, nbytes

    def newest(self, prefix: str, limit: int) -> list[FileStat]:
        """The files below a prefix with the latest times, the latest first."""
        return heapq.nlargest(limit, self.walk(prefix), key=attrgetter("modified"))

    def move(self, name: str, new: str) -> None:
        """Give a file another name, replacing what is there."""
        frame = self.open(name)
        self.put([new], [frame], overwrite=True)
        self.remove([name])

    def move_all(self, names: Mapping[str, str]) -> list[str]:
        """Give files other names, as ``move`` does; returns those that were there."""
        moved = []
        for name, new in names.items():
            with suppress(OSError):
                self.move(name, new)
                moved.append(name)
        return moved

    def close(self) -> None:  # noqa: B027  most folders hold nothing
        """Let go of connections."""
