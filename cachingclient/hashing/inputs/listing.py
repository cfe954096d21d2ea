"""What is seen of a path without opening it: the names in a folder, where a link leads, what is there, its time."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterable, Iterator

import xxhash

from cachingclient.forks.patience import NAME, got

LISTING = "listing"
"""The kind of fingerprint that holds the names in a folder."""
MATCHES = "matches"
"""The kind that holds those names in a folder that match a pattern, which stands in its ``uuid``."""
STAMPS = "stamps"
"""The kind that holds the names, sizes, times and modes of the files in a folder."""
THERE = "there"
"""The kind that says no more than that something is there; what it is stands in its ``uuid``."""
LINK = "link"
"""The kind that says where a symbolic link leads."""
TIME = "time"
"""The kind that holds the time of a file's last change, or None for any, and in its ``uuid`` its mode."""
MOST_NAMES = 100_000
"""A folder with more files than this is too large to be looked at again."""


def list_folder(folder: str, wanted: str = "") -> str | None:
    """Return the digest of the names in a folder that match a pattern, and of what each of them is.

    None if there is no such folder.

    Examples
    --------
    >>> list_folder("/no/such/folder") is None
    True
    """
    got(NAME)
    try:
        with os.scandir(folder) as entries:
            # Whoever lists a folder asks the entries what they are, of which the interpreter tells nobody.
            kinds = {each.name: _kind_of(each) for each in entries}
    except (OSError, ValueError):
        return None
    names = fnmatch.filter(kinds, wanted) if wanted else list(kinds)
    digest = xxhash.xxh3_128()
    for name in sorted(names):
        if name != "__pycache__":
            digest.update(os.fsencode(name) + kinds[name] + b"\0")
    return digest.hexdigest()


def _kind_of(entry: os.DirEntry[str]) -> bytes:
    """Return what is put behind a name for what it is; nothing for a file."""
    link = b"@" if entry.is_symlink() else b""
    try:
        return link + (b"" if entry.is_file() else b"/" if entry.is_dir() else b"?")
    except OSError:  # such as a link to itself
        return link + b"?"


def what_is_there(path: str) -> str | None:
    """Return what a path is, such as a file, a folder or a link to either; None if nothing is there.

    Examples
    --------
    >>> what_is_there(os.getcwd()), what_is_there("/no/such/file")
    ('folder', None)
    """
    try:
        mode = os.lstat(path).st_mode
    except (OSError, ValueError):
        return None
    link = "link to a " if stat.S_ISLNK(mode) else ""
    if link:
        try:
            mode = os.stat(path).st_mode
        except OSError:
            return "link that leads nowhere"
    return link + ("folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "device")


def target_of(link: str) -> str | None:
    """Return where a symbolic link leads, None if it is none.

    Examples
    --------
    >>> target_of("/no/such/link") is None
    True
    """
    try:
        return os.fsdecode(os.readlink(link))
    except (OSError, ValueError):
        return None


def time_of(path: str) -> tuple[int, str] | None:
    """Return when a file was last changed, in nanoseconds since 1970, and its mode in octal digits; None if it is gone.

    Examples
    --------
    >>> time_of("/no/such/file") is None
    True
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, f"{found.st_mode:o}"


def stamp_folder(folder: str) -> str | None:
    """Return the digest of the files in a folder, without those below: names, sizes, times, modes.

    None if there is no such folder, or it holds more than `MOST_NAMES` files.
    """
    digest = xxhash.xxh3_128()
    try:
        with os.scandir(folder) as entries:
            files = sorted(_stamped(entries))
    except (OSError, ValueError):
        return None
    if len(files) > MOST_NAMES:
        return None
    for name, found in files:
        digest.update(os.fsencode(name) + b"\0%d %d %o\0" % (found.st_size, found.st_mtime_ns, found.st_mode))
    return digest.hexdigest()


def _stamped(entries: Iterable[os.DirEntry[str]]) -> Iterator[tuple[str, os.stat_result]]:
    for each in entries:
        got(NAME)
        if not each.is_dir():
            yield each.name, each.stat()
