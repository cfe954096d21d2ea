"""What a local file, folder or pattern of files looks like, without reading more than is needed."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

import xxhash

from cachingclient.forks.children import free_in_children
from cachingclient.forks.patience import BYTE, NAME, got
from cachingclient.hashing.digest import compact, frame
from cachingclient.hashing.inputs.checksums import OWN, Sums, state_of
from cachingclient.hashing.inputs.patterns import Search
from cachingclient.hashing.inputs.remembered import Found, Version, note, recall, version_of

SMALL_FILE = 64 * 1024
"""Files up to this size are identified by their content: reading them costs little more than asking for their size."""

_CHUNK = 1 << 20
_TICK_NS = 100_000_000
_COARSE_TICK_NS = 2_000_000_000


KNOWN = "known"
"""The kind of a remote file whose identity stands in the value that names it, such as a chunk's file by its UUID."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What an input looked like when it was planned.

    Attributes
    ----------
    url
        Absolute path or URL.
    kind
        ``"file"``, ``"folder"``, ``"pattern"``, ``"remote"`` or ``"known"``.
    size
        Bytes, if known.
    mtime_ns
        Time of the last change, if that is part of its identity.
    checksum
        Digest of the content, of the listing of a folder, or the one its server keeps.
    etag
        What an HTTP or S3 server calls this version of it.
    uuid
        Identifier inside a ROOT file.
    stamp
        Says quickly whether it is still the same; empty if only a second look can tell.
    note
        What the user should know about it, such as a folder too large to be looked at in full.
    in_key
        Whether what it holds is part of the keys of the steps that are given it, as that of a `File` is.
    sums
        Checksums of the content of a remote file that its server tells.
    relayed
        Whether what is read of a remote file may come from another place than what its server tells of it, such as
        the memory of a proxy.

    Examples
    --------
    >>> Fingerprint("/data/a.root", "file", size=10, mtime_ns=1).identity == \\
    ...     Fingerprint("/copy/a.root", "file", size=10, mtime_ns=1).identity
    True
    """

    url: str
    kind: str
    size: int | None = None
    mtime_ns: int | None = None
    checksum: str | None = None
    etag: str | None = None
    uuid: str | None = None
    stamp: str = field(default="", compare=False)
    note: str = field(default="", compare=False)
    in_key: bool = field(default=False, compare=False)
    sums: Sums = field(default=(), compare=False)
    relayed: bool = field(default=False, compare=False)

    @property
    def is_local(self) -> bool:
        """Whether it is a matter of this machine's file systems."""
        return self.kind not in ("remote", KNOWN)

    @property
    def identity(self) -> bytes:
        """What of it counts, without where it is; the name as the step was given it is added by the caller."""
        parts = (self.kind, self.size, self.mtime_ns, self.checksum, self.etag, self.uuid)
        return frame(b"F", [compact(b"=", repr(part).encode()) for part in parts])


def look_at_path(path: str, mode: str, most_files: int) -> Fingerprint | None:
    """Return the fingerprint of a file or folder, or None if nothing is there that could be read."""
    seen = _stat(path)
    if seen is None:
        return None
    if stat.S_ISDIR(seen.st_mode):
        return look_at_folder(path, mode, most_files)
    if not stat.S_ISREG(seen.st_mode):
        return None
    look = _look_at_file(path, seen, mode, SMALL_FILE)
    return Fingerprint(path, "file", seen.st_size, look.mtime_ns, look.checksum, uuid=look.uuid, stamp=look.stamp)


def look_at_folder(path: str, mode: str, most_files: int) -> Fingerprint:
    """Return the fingerprint of all files below a folder."""
    return _look_at_listing(path, "folder", files_below(path), mode, most_files)


def look_at_pattern(pattern: str, mode: str, most_files: int) -> Fingerprint | None:
    """Return the fingerprint of all files that match a pattern, or None if none does."""
    search = Search(pattern)
    matches = () if search.is_rest_of_a_path else sorted(set(islice(search, most_files + 1)))
    if not matches:
        return None
    look = _look_at_listing(pattern, "pattern", ((match, match) for match in matches), mode, most_files)
    if search.is_cut and not look.note:
        note = f"only the first {search.most_names} names below {search.base} were looked at: other files go unseen"
        look = replace(look, note=note)
    return look


def is_unchanged(seen: Fingerprint, most_files: int) -> bool:
    """Whether a local input still looks as it did."""
    attempts: tuple[str, ...] = "stat", "content"
    if seen.kind == "file":
        now = _stat(seen.url)
        if now is not None and seen.stamp and _stamp(now) == seen.stamp:
            return True
        if now is None or not stat.S_ISREG(now.st_mode) or seen.size not in (None, now.st_size):
            return False
        # A copy that this machine sees may have another inode or time, and the same content.
        attempts = ("content",) if seen.checksum is not None else ("stat",)
    again = look_at_pattern if seen.kind == "pattern" else look_at_path
    for attempt in attempts:
        look = again(seen.url, attempt, most_files)
        if look is not None and (look == seen or (look.stamp and look.stamp == seen.stamp)):
            return True
        if look is None or look.size != seen.size:
            return False  # nor does the content fit
    return False


def files_below(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the relative and the full name of every file below a folder, in an order that never changes."""
    seen: set[tuple[int, int]] = set()
    pending = [""]
    while pending:
        relative = pending.pop()
        here = os.path.join(folder, relative) if relative else folder
        got(NAME)
        try:
            status = os.stat(here)
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError:
            continue
        if (status.st_dev, status.st_ino) in seen:  # symbolic links can form a circle
            continue
        seen.add((status.st_dev, status.st_ino))
        below = []
        for entry in entries:
            name = os.path.join(relative, entry.name)
            if not entry.is_dir():
                yield name, entry.path
            elif entry.name != "__pycache__":
                below.append(name)
        pending.extend(reversed(below))


class _Look(NamedTuple):
    mtime_ns: int | None
    checksum: str | None
    uuid: str | None
    stamp: str


def _look_at_file(path: str, seen: os.stat_result, mode: str, small: int) -> _Look:
    # A file changed just now can be changed again without its time showing it.
    fresh = _is_fresh(seen)
    stamp = "" if fresh else _stamp(seen)
    if mode == "content" or seen.st_size <= small or fresh:
        try:
            return _Look(None, content_digest(path, seen), None, stamp)
        except OSError:
            pass
    uuid = None
    if path.endswith(".root"):
        with contextlib.suppress(OSError):
            uuid = _root_uuid(path) if fresh else _root_uuid_at(path, seen)
    return _Look(seen.st_mtime_ns, None, uuid, stamp)


def _look_at_listing(url: str, kind: str, files: Iterable[tuple[str, str]], mode: str, most_files: int) -> Fingerprint:
    """Return the fingerprint of many files: their names, and of each its size and time or its content."""
    listing, stamps = xxhash.xxh3_128(), xxhash.xxh3_128()
    total = count = 0
    note = ""
    firm = True
    for name, path in files:
        if count == most_files:
            note = f"only the first {most_files} files of {url} were looked at: a change in others goes unseen"
            break
        got(NAME)
        status = _stat(path)
        if status is None:
            continue
        count += 1
        total += status.st_size
        look = _look_at_file(path, status, mode, 0) if stat.S_ISREG(status.st_mode) else _Look(None, None, None, "-")
        firm = firm and bool(look.stamp)
        encoded = os.fsencode(name)
        listing.update(frame(b"", [b"%d" % status.st_size, repr(look[:3]).encode()]) + b"%d:" % len(encoded) + encoded)
        stamps.update(b"%s:%d:%s;" % (look.stamp.encode(), len(encoded), encoded))
    stamp = stamps.hexdigest() if firm else ""
    return Fingerprint(url, kind, total, checksum=f"{count}:{listing.hexdigest()}", stamp=stamp, note=note)


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _stamp(seen: os.stat_result) -> str:
    return f"{seen.st_size}-{seen.st_mtime_ns}-{seen.st_ino}"


def _is_fresh(seen: os.stat_result) -> bool:
    tick = _TICK_NS if seen.st_mtime_ns % 1_000_000_000 else _COARSE_TICK_NS
    return time.time_ns() - seen.st_mtime_ns < tick


_digests: dict[tuple[str, str], tuple[tuple[int, ...], str]] = {}
_digests_lock = free_in_children(threading.Lock())
_MOST_DIGESTS = 100_000


def _without_waiting(path: str, flags: int) -> int:
    """Open a file that may be one of the kernel's, which have no end until more is to be told."""
    return os.open(path, flags | os.O_NONBLOCK)


def content_digest(path: str, seen: os.stat_result | None = None, kind: str = OWN) -> str:
    """Return the digest of a file's content, its kind before it; a file that did not change is read once a process."""
    if seen is None:
        seen = os.stat(path)
    version = (seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, seen.st_dev)
    with _digests_lock:
        known = _digests.get((path, kind))
    if known is not None and known[0] == version:
        return known[1]
    if not _is_fresh(seen) and (remembered := recall(path, seen).digest_of(kind)) is not None:
        return remembered
    state = state_of(kind)
    with open(path, "rb", buffering=0, opener=_without_waiting) as file:
        while chunk := file.read(_CHUNK):
            got(BYTE * len(chunk))
            state.update(chunk)
        after = os.fstat(file.fileno())
    found = f"{kind}:{state.hexdigest()}"
    unchanged = (after.st_size, after.st_mtime_ns, after.st_ctime_ns, after.st_ino, after.st_dev) == version
    if unchanged and not _is_fresh(seen):
        with _digests_lock:
            if len(_digests) >= _MOST_DIGESTS:
                _digests.clear()
            _digests[path, kind] = (version, found)
        note(path, seen, Found(checksum=found) if kind == OWN else Found(sums={kind: found}))
    return found


def _root_uuid_at(path: str, seen: os.stat_result) -> str | None:
    """Return the identifier of a ROOT file, read once as long as the file looks the same."""
    if (known := recall(path, seen).uuid) is None:
        known = _root_uuid_once(path, version_of(seen)) or ""
        if version_of(os.stat(path)) == version_of(seen):
            note(path, seen, Found(uuid=known))
    return known or None


@functools.lru_cache(maxsize=10_000)
def _root_uuid_once(path: str, _version: Version) -> str | None:
    return _root_uuid(path)


def _root_uuid(path: str) -> str | None:
    """Return the identifier that ROOT writes into the head of each file."""
    with open(path, "rb", buffering=0) as file:
        head = file.read(75)
    if head[:4] != b"root" or len(head) < 75:
        return None
    # Files beyond 2 GB say so by their version and have wider pointers.
    start = 59 if int.from_bytes(head[4:8], "big") >= 1_000_000 else 47
    return head[start : start + 16].hex()
