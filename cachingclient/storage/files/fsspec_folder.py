"""A folder behind any fsspec file system.

Notes
-----
fsspec has no "create if absent" that all file systems honour. Where the file system does not say that it has one,
the name is looked at before the write: two writers that race then both succeed, and the later one's file stays,
whole, under the name. As both computed the same step, either is right.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import fsspec
import xxhash
from fsspec.dircache import DirCache

from cachingclient.forks.children import free_in_children
from cachingclient.storage.files.folder import ChangedError, FileStat, Folder
from cachingclient.storage.model import Frame, StoreError, StoreUnavailable
from cachingclient.storage.options import names_taken, refuse_unknown

OUT_OF_REACH = {errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT}


class RemoteFolder(Folder):
    """Files below a URL that fsspec understands.

    After a failure to reach the server nothing is asked of it for a while, so that a server that is away costs
    its time limit once and not once a step.

    Examples
    --------
    >>> folder = RemoteFolder("memory://doc-example")
    >>> folder.put(["v1/a"], [memoryview(b"hello")])
    True
    >>> bytes(folder.open("v1/a"))
    b'hello'
    """

    latency = 0.02
    bandwidth = 1e8
    rest_after_failure = 30.0

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url.rstrip("/")
        refuse_unknown(options, self.options_of(fsspec.get_filesystem_class(url.partition("://")[0])))
        self.fs, root = fsspec.core.url_to_fs(self.url, **options)
        self.root = root.rstrip("/")
        self._put_lock = free_in_children(threading.Lock())
        self._away_until = 0.0
        self._away = ""
        if "memory" in self.fs.protocol:
            self.latency, self.bandwidth = 0.0001, 5e9
            self.private = True  # it is this process's own
        if "http" in self.fs.protocol:
            self.read_only = True

    def options_of(self, file_system: type[fsspec.AbstractFileSystem]) -> set[str]:
        """Return the names of the options that a kind of file system takes, or hands on to who takes them."""
        known = names_taken(file_system, DirCache) | {"skip_instance_cache"}
        if "http" in file_system.protocol:
            from aiohttp import ClientSession

            known |= names_taken(ClientSession._request)
        return known

    def fetch(self, names: Sequence[str]) -> dict[str, bytes]:
        if not names:
            return {}
        with self._asking():
            paths = {self._path(name): name for name in names}
            found = {}
            for path, data in self.fs.cat(list(paths), on_error="return").items():
                if isinstance(data, bytes):
                    found[paths[path]] = data
                elif not isinstance(data, FileNotFoundError):
                    raise data
        return found

    def open(self, name: str, nbytes: int | None = None) -> Frame:
        with self._asking():
            return memoryview(bytearray(self.fs.cat_file(self._path(name))))

    def put(self, names: Sequence[str], frames: Iterable[Frame], *, digest: str = "", overwrite: bool = False) -> bool:
        data = b"".join(frames)
        if digest and xxhash.xxh3_128_hexdigest(data) != digest:
            raise ChangedError
        with self._asking():
            ours = [self._create(self._path(name), data, overwrite) for name in names]
        return ours[0]

    def _create(self, path: str, data: bytes, overwrite: bool) -> bool:
        with self._put_lock:
            if not overwrite and self.fs.exists(path):
                return False
            self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            self.fs.pipe_file(path, data)
            return True

    def stat(self, names: Sequence[str]) -> dict[str, FileStat]:
        found = {}
        with self._asking():
            for name in names:
                try:
                    found[name] = _file_stat(name, self.fs.info(self._path(name)))
                except FileNotFoundError:
                    continue
        return found

    def remove(self, names: Sequence[str]) -> int:
        freed = 0
        for name, status in self.stat(names).items():
            with self._asking():
                try:
                    self.fs.rm_file(self._path(name))
                except FileNotFoundError:
                    continue
            freed += status.nbytes
        return freed

    def walk(self, prefix: str) -> Iterator[FileStat]:
        with self._asking():
            try:
                listing = self.fs.ls(self._path(prefix), detail=True, refresh=True)
            except FileNotFoundError:
                return
        for item in listing:
            name = prefix + "/" + item["name"].rstrip("/").rpartition("/")[2]
            if item["type"] == "directory":
                yield from self.walk(name)
            else:
                yield _file_stat(name, item)

    def ask_again(self) -> None:
        """Forget that the server was away."""
        self._away_until = 0.0

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Turn the errors of file systems into those of a store, and stop asking a server that is away."""
        if time.monotonic() < self._away_until:
            raise StoreUnavailable(self._away)  # in the same words, so that it is told once
        try:
            yield
        except (FileNotFoundError, ChangedError, StoreError):
            raise
        except PermissionError as error:
            raise StoreUnavailable(f"{self.url} refuses us: {error.__cause__ or error}") from error  # S3's own words
        except Exception as error:  # each file system has its own ways of saying that it can't be reached
            why = f"{self.url} does not answer as it should: {_reason(error)}"
            if not isinstance(error, OSError) or error.errno is None or error.errno in OUT_OF_REACH:
                self._away, self._away_until = why, time.monotonic() + self.rest_after_failure
            raise StoreUnavailable(why) from error


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _file_stat(name: str, info: dict[str, Any]) -> FileStat:
    when = next((info[word] for word in ("LastModified", "mtime", "created") if info.get(word) is not None), None)
    if isinstance(when, datetime):
        when = when.timestamp()
    return FileStat(name, info["size"] or 0, when if when is not None else time.time())
