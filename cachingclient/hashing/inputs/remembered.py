"""What was found out about local files by opening them, kept from one session to the next: the next opens none.

As git's index does, an entry holds a file's size, times and inode beside what was read, and is believed only while the
file still has these. What changed within the last seconds is not noted: a second change might not show in its times.

A file of the memory is about one folder of files. It is written whole and put in place at once, so that processes and
hosts may share a memory: of two that write at the same time one loses its notes, and looks again.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import stat
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import xxhash

from cachingclient.forks.children import free_in_children
from cachingclient.hashing.inputs.checksums import OWN

Version = tuple[int, int, int, int]
MOST_BYTES = 32 << 20
"""How long a file of the memory may be to be read."""
MOST_FOLDERS = 2_000
MOST_FILES = 50_000
"""How many files of one folder are remembered."""
SAVE_AFTER = 1_000
"""After so many new notes they are written, also while a program goes on."""
RACY_NS = 2_000_000_000


class Found(NamedTuple):
    """What is known of a file.

    Attributes
    ----------
    checksum
        The digest of its content.
    uuid
        Its identifier; empty if it is no ROOT file.
    trees
        For trees in it how many entries they have, each with the file's identifier as uproot writes it.
    sums
        Digests of its content of other kinds, as servers tell them.
    """

    checksum: str | None = None
    uuid: str | None = None
    trees: Mapping[str, tuple[int, str]] | None = None
    sums: Mapping[str, str] | None = None

    def digest_of(self, kind: str) -> str | None:
        """Return the digest of the content by its kind, None if it is not known.

        Examples
        --------
        >>> Found("xxh3:0f").digest_of("xxh3"), Found("xxh3:0f").digest_of("md5")
        ('xxh3:0f', None)
        """
        return self.checksum if kind == OWN else (self.sums or {}).get(kind)

    def with_more(self, more: Found) -> Found:
        """Return what is known with what is known besides.

        Examples
        --------
        >>> Found("xxh3:0f").with_more(Found(trees={"Events": (10, "")}))
        Found(checksum='xxh3:0f', uuid=None, trees={'Events': (10, '')}, sums=None)
        """
        checksum = more.checksum if more.checksum is not None else self.checksum
        uuid = more.uuid if more.uuid is not None else self.uuid
        trees = self.trees if more.trees is None else {**(self.trees or {}), **more.trees}
        sums = self.sums if more.sums is None else {**(self.sums or {}), **more.sums}
        return Found(checksum, uuid, trees, sums)


def version_of(seen: os.stat_result) -> Version:
    """Return what tells one state of a file from another.

    The device is no part of it: a mounted file system may have another number on each host.
    """
    return seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino


@dataclass(slots=True)
class _Folder:
    """The notes about the files of one folder, by their names."""

    notes: dict[str, tuple[Version, Found]]
    new: dict[str, tuple[Version, Found]] = field(default_factory=dict)


class Remembered:
    """A memory of files.

    Parameters
    ----------
    folder
        Where it is. Files in it that others can write to are not believed.
    writes
        Whether new notes are kept.

    Examples
    --------
    >>> folder = tempfile.mkdtemp()
    >>> memory = Remembered(folder)
    >>> memory.note("/data/a.root", (10, 1, 1, 1), Found(uuid="0f" * 16))
    >>> memory.save()
    >>> Remembered(folder).recall("/data/a.root", (10, 1, 1, 1)).uuid == "0f" * 16
    True
    >>> Remembered(folder).recall("/data/a.root", (10, 2, 2, 1))
    Found(checksum=None, uuid=None, trees=None, sums=None)
    """

    def __init__(self, folder: str | os.PathLike[str], *, writes: bool = True) -> None:
        self.folder = Path(folder)
        self.writes = writes
        self._folders: dict[str, _Folder] = {}
        self._unsaved = 0
        self._lock = free_in_children(threading.Lock())

    def recall(self, path: str, version: Version) -> Found:
        """Return what is known of a file as it is now."""
        parent, name = os.path.split(path)
        with self._lock:
            known = self._of(parent).notes.get(name)
        return known[1] if known is not None and known[0] == version else Found()

    def note(self, path: str, version: Version, found: Found) -> None:
        """Note what was read from a file, unless it changed just now or its times are none to go by."""
        if not self.writes or time.time_ns() - max(version[1], version[2]) < RACY_NS:
            return
        parent, name = os.path.split(path)
        with self._lock:
            folder = self._of(parent)
            known = folder.notes.get(name)
            if known is not None and known[0] == version:
                found = known[1].with_more(found)
            folder.notes[name] = folder.new[name] = version, found
            self._unsaved += 1
            much = self._unsaved >= SAVE_AFTER
        if much:
            self.save()

    def save(self) -> None:
        """Write what is new. A fault costs the notes, never the analysis."""
        with self._lock:
            self._unsaved = 0
            new = {parent: folder.new for parent, folder in self._folders.items() if folder.new}
            for parent in new:
                self._folders[parent].new = {}
        for parent, notes in new.items():
            with contextlib.suppress(OSError, ValueError):
                self._write(self._place(parent), {**self._read(self._place(parent)), **notes})
        if new:
            self._make_room()

    def _of(self, parent: str) -> _Folder:
        found = self._folders.get(parent)
        if found is None:
            found = self._folders[parent] = _Folder(self._read(self._place(parent)))
        return found

    def _place(self, parent: str) -> Path:
        return self.folder / xxhash.xxh3_128_hexdigest(os.fsencode(parent))

    def _read(self, place: Path) -> dict[str, tuple[Version, Found]]:
        """Return the notes in a file; none if it is not there, damaged, or may be somebody else's."""
        try:
            with place.open("rb") as file:
                state = os.fstat(file.fileno())
                if state.st_uid != os.geteuid() or stat.S_IMODE(state.st_mode) & 0o022 or state.st_size > MOST_BYTES:
                    return {}
                digest, _, content = file.read().partition(b"\n")
            if digest.decode() != xxhash.xxh3_128_hexdigest(content):
                return {}
            return {name: _as_note(*fields) for name, fields in json.loads(content).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _write(self, place: Path, notes: dict[str, tuple[Version, Found]]) -> None:
        last = list(notes.items())[-MOST_FILES:]
        content = json.dumps({name: [*version, *found] for name, (version, found) in last}).encode()
        _make_for_the_user_alone(self.folder)
        handle, temporary = tempfile.mkstemp(dir=self.folder)  # for the user alone
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(xxhash.xxh3_128_hexdigest(content).encode() + b"\n" + content)
            os.replace(temporary, place)
        except BaseException:
            os.unlink(temporary)
            raise

    def _make_room(self) -> None:
        """Remove what was written first where there are too many folders."""
        with contextlib.suppress(OSError):
            places = list(self.folder.iterdir())
            if len(places) > MOST_FOLDERS:
                for place in sorted(places, key=lambda each: each.stat().st_mtime)[: MOST_FOLDERS // 10]:
                    place.unlink(missing_ok=True)


def _make_for_the_user_alone(folder: Path) -> None:
    """Make a folder and those above it, the store's among them if that has kept nothing yet."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def _as_note(
    size: Any, mtime: Any, ctime: Any, inode: Any, checksum: Any, uuid: Any, trees: Any, sums: Any = None
) -> tuple[Version, Found]:
    if not all(type(each) is int for each in (size, mtime, ctime, inode)):
        raise TypeError("a size, a time and an inode are numbers")
    if not all(each is None or isinstance(each, str) for each in (checksum, uuid)):
        raise TypeError("a digest is a text")
    if trees is not None:
        trees = {name: (entries, str(named)) for name, (entries, named) in trees.items() if type(entries) is int}
    if sums is not None:
        sums = {kind: digest for kind, digest in sums.items() if isinstance(digest, str)}
    return (size, mtime, ctime, inode), Found(checksum, uuid, trees, sums)


_memory: Remembered | None = None


def use_memory(memory: Remembered | None) -> None:
    """Have this process recall and note files there; None for nowhere."""
    global _memory
    if _memory is not None:
        _memory.save()
    _memory = memory


def recall(path: str, seen: os.stat_result) -> Found:
    """Return what this process's memory knows of a file as it is now.

    Examples
    --------
    >>> recall("/no/such/file", os.stat("/"))
    Found(checksum=None, uuid=None, trees=None, sums=None)
    """
    return Found() if _memory is None else _memory.recall(path, version_of(seen))


def note(path: str, seen: os.stat_result, found: Found) -> None:
    """Note what was read from a file that looked so before it was read, and after."""
    if _memory is not None:
        _memory.note(path, version_of(seen), found)


@atexit.register
def save_memory() -> None:
    """Write what this process's memory has not written yet."""
    if _memory is not None:
        _memory.save()
