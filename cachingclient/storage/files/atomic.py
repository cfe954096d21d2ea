"""Making files and folders in a local folder, and giving a finished file its names.

A hard link is what puts a whole file under a name that must not be taken yet. Where file systems have none (exFAT,
AFS between folders, some that are mounted through FUSE) the name is looked at first: two processes that race for it
may then both be told that they won, and the later one's file stays, whole.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

import xxhash

from cachingclient.forks.children import free_in_children
from cachingclient.forks.patience import BYTE, NAME, got
from cachingclient.storage.model import Frame

NO_LINKS = {errno.EPERM, errno.EACCES, errno.EXDEV, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP}
CHUNK = 4 << 20
MOST_PIECES = 256  # of one call: each system takes more
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_EXCHANGE = 2  # on Linux and macOS
_library = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()
_without_links = free_in_children(threading.Lock())


PRIVATE, SHARED = 0o700, 0o2770  # the modes of folders


class Place(NamedTuple):
    """A name in a folder that is open."""

    folder: int
    name: str


def mode_of(folder: str, mode: int) -> int:
    """The mode that new folders get beside this one, if it is there; else the one that is asked for."""
    try:
        return stat.S_IMODE(os.lstat(folder).st_mode) & 0o2775 | PRIVATE
    except OSError:
        return mode


def place(file: Place, target: Place, *, overwrite: bool) -> bool:
    """Put a file under another name as well; False if that is taken by another."""
    if overwrite:
        _replace(file, target)
        return True
    linked = _linked(file, target)
    if linked is not None:
        return linked
    with _without_links:
        if _exists(target):
            return False
        _replace(file, target)
    return True


def link_each(file: Place, targets: Iterable[Place]) -> Iterator[bool]:
    """Put a file under other names as well, and tell of each whether it was free; ends where there are no links."""
    for target in targets:
        got(NAME)
        linked = _linked(file, target)
        if linked is None:
            return
        yield linked


def _linked(file: Place, target: Place) -> bool | None:
    """Whether a name was free, and is one more of a file now; None where there are no links."""
    try:
        _link(file, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return None
    return True


def move(file: Place, target: Place) -> None:
    """Give a file another name, replacing what is there."""
    os.replace(file.name, target.name, src_dir_fd=file.folder, dst_dir_fd=target.folder)


def exchange(file: Place, target: Place, number: int) -> bool:
    """Put a file in the place of the one with this number, with its time, and that one in its own.

    False if another is there, which stays: what was removed or written anew meanwhile must not come back. Raises
    OSError, also where files can't be exchanged.
    """
    there = os.stat(target.name, dir_fd=target.folder, follow_symlinks=False)
    if there.st_ino != number:
        return False
    os.utime(file.name, ns=(there.st_atime_ns, there.st_mtime_ns), dir_fd=file.folder)
    _exchange(file, target)
    if os.stat(file.name, dir_fd=file.folder, follow_symlinks=False).st_ino == number:
        return True
    _exchange(file, target)
    return False


def _exchange(file: Place, target: Place) -> None:
    """Have two files change names in one step, of which Python's library has no function."""
    call = getattr(_library, "renameat2", None) or getattr(_library, "renameatx_np", None)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if call(file.folder, os.fsencode(file.name), target.folder, os.fsencode(target.name), ctypes.c_uint(_EXCHANGE)):
        raise OSError(number := ctypes.get_errno(), os.strerror(number))


def _replace(file: Place, target: Place) -> None:
    spare = Place(file.folder, f"{file.name}-{next(_numbers)}")
    try:
        _link(file, spare)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        _copy(file, spare)
    try:
        move(spare, target)
    except OSError:
        os.unlink(spare.name, dir_fd=spare.folder)
        raise


def _link(file: Place, target: Place) -> None:
    os.link(file.name, target.name, src_dir_fd=file.folder, dst_dir_fd=target.folder, follow_symlinks=False)


def _copy(file: Place, spare: Place) -> None:
    source = os.open(file.name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=file.folder)
    try:
        copy = make_file(spare, stat.S_IMODE(os.fstat(source).st_mode))
        try:
            while part := os.read(source, CHUNK):
                while part:
                    part = part[os.write(copy, part) :]
        finally:
            os.close(copy)
    finally:
        os.close(source)


def _exists(place: Place) -> bool:
    try:
        os.stat(place.name, dir_fd=place.folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def make_root(path: str, mode: int) -> None:
    """Make a folder and those above it (os.makedirs would leave these open to everyone)."""
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    make_root(above, mode)
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


def make_file(place: Place, mode: int) -> int:
    """Make a new file, as open as a folder of this mode; its handle."""
    handle = os.open(place.name, _NEW, 0o600, dir_fd=place.folder)
    if mode != PRIVATE:
        with suppress(PermissionError):  # a file system without owners
            os.fchmod(handle, mode & 0o666)  # whatever the umask says
    return handle


def write_frames(handle: int, frames: Iterable[Frame]) -> str:
    """Write the frames piece by piece, those that are small in one call, digesting each piece just after that."""
    state = xxhash.xxh3_128()
    for pieces in _batches(frames):
        while pieces:
            count = os.writev(handle, pieces)
            got(BYTE * count)
            while pieces and count >= pieces[0].nbytes:
                state.update(pieces[0])
                count -= pieces.pop(0).nbytes
            if count:
                state.update(pieces[0][:count])
                pieces[0] = pieces[0][count:]
    return state.hexdigest()


def _batches(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """Yield pieces of frames, as many at once as one call takes."""
    batch: list[Frame] = []
    nbytes = 0
    for frame in frames:
        for start in range(0, frame.nbytes, CHUNK):
            piece = frame[start : start + CHUNK]
            if batch and (nbytes + piece.nbytes > CHUNK or len(batch) == MOST_PIECES):
                yield batch
                batch, nbytes = [], 0
            batch.append(piece)
            nbytes += piece.nbytes
    if batch:
        yield batch


def remove(file: Place) -> int:
    """Remove a file, or a link and not where it leads; the bytes that this freed."""
    try:
        status = os.stat(file.name, dir_fd=file.folder, follow_symlinks=False)
        os.unlink(file.name, dir_fd=file.folder)
    except OSError:
        return 0
    return status.st_size if status.st_nlink == 1 else 0
