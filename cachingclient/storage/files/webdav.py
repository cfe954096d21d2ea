"""A folder on a WebDAV server, as grid sites have for storage: dCache, EOS, StoRM, XRootD's HTTP, rclone.

Notes
-----
Everything is written under a temporary name, looked at, and renamed without replacing: few servers heed
``If-None-Match``, and some keep what came before a connection broke. Locks and ranges are not asked for. A server may
take ``Overwrite: F`` for a wish, so the name is looked for as well: two processes that race for one may both be told
that they won, and the later one's file stays, whole.
"""

from __future__ import annotations

import os
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any, Self, TypeVar
from urllib.parse import quote, unquote, urlsplit

import urllib3
import xxhash

from cachingclient.forks.children import free_in_children
from cachingclient.storage.files.folder import ChangedError, FileStat, Folder
from cachingclient.storage.files.webdav_sign_in import SignIn
from cachingclient.storage.limits import limits
from cachingclient.storage.model import Frame, StoreError, StoreUnavailable
from cachingclient.storage.options import names_taken, refuse_unknown

CONCURRENT = 16
PATIENCE = urllib3.Timeout(connect=5, read=60)
PROPERTIES = (
    b'<?xml version="1.0"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/>'
    b"</prop></propfind>"
)
FOUND, MADE, DONE = (200,), (200, 201, 204), (200, 202, 204)
LISTED = (207,)
ABSENT = (404, 410)
NO_PARENT = (404, 409)
NO_PARENT_OF_TARGET = (*NO_PARENT, 403)  # the last is what rclone and others in Go say of a rename
EXISTS = (405, 409, 412)
REFUSED = (401, 403)

T = TypeVar("T")
R = TypeVar("R")


class Retries(urllib3.Retry):
    """Tries again after a connection broke, and not after a server was too slow: that would take as long again."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        error: Exception | None = None,
        *rest: Any,
        **more: Any,
    ) -> Self:
        """Return what is left of the attempts, or raise the error."""
        if isinstance(error, urllib3.exceptions.ReadTimeoutError):
            raise error
        return super().increment(method, url, response, error, *rest, **more)


class WebDAVFolder(Folder):
    """Files below ``davs://host/path`` (HTTPS) or ``dav://host/path`` (HTTP).

    Parameters
    ----------
    url
        The folder's.
    **sign_in
        Options of `SignIn`.
    """

    latency = 0.02
    bandwidth = 1e8
    rest_after_failure = 30.0

    def __init__(self, url: str, **sign_in: Any) -> None:
        refuse_unknown(sign_in, names_taken(SignIn) - {"encrypted"})
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        self._host = f"{'https' if parts.scheme == 'davs' else 'http'}://{parts.netloc}"
        self._root = "/" + quote(unquote(parts.path).strip("/"))
        self._sign_in = SignIn(encrypted=parts.scheme == "davs", **sign_in)
        self._connections = urllib3.PoolManager(
            maxsize=CONCURRENT,
            retries=Retries(connect=1, read=1, redirect=5, status=0, other=0),
            **self._sign_in.context(),
        )
        self._pool = ThreadPoolExecutor(CONCURRENT, "cachingclient-webdav")
        self._put_lock = free_in_children(threading.Lock())
        self._away_until = 0.0
        self._away = ""
        self._list(self._root, depth=0)

    def fetch(self, names: Sequence[str]) -> dict[str, bytes]:
        contents = self._each(self._get, names)
        return {name: data for name, data in zip(names, contents, strict=True) if data is not None}

    def open(self, name: str, nbytes: int | None = None) -> Frame:
        data = self._get(name)
        if data is None:
            raise FileNotFoundError(name)
        return memoryview(bytearray(data))

    def _get(self, name: str) -> bytes | None:
        answer = self._ask("GET", self._path(name), FOUND, ABSENT)
        return answer.data if answer is not None else None

    def put(self, names: Sequence[str], frames: Iterable[Frame], *, digest: str = "", overwrite: bool = False) -> bool:
        data = b"".join(frames)
        if digest and xxhash.xxh3_128_hexdigest(data) != digest:
            raise ChangedError
        with self._put_lock:
            ours = [self._create(name, data, overwrite) for name in names]
        return ours[0]

    def _create(self, name: str, data: bytes, overwrite: bool) -> bool:
        if not overwrite and self.stat([name]):
            return False
        temporary = f"v1/tmp/{os.urandom(8).hex()}"
        self._upload(temporary, data)
        if self._rename(temporary, name, overwrite):
            return True
        self.remove([temporary])
        return False

    def _upload(self, name: str, data: bytes) -> None:
        """Write a file and see that all of it is there."""
        path = self._path(name)
        if self._ask("PUT", path, MADE, NO_PARENT, body=data) is None:
            self._make_parents(path)
            self._ask("PUT", path, MADE, body=data)
        there = self.stat([name]).get(name)
        if there is None or there.nbytes != len(data):
            self.remove([name])
            size = there.nbytes if there is not None else 0
            raise StoreError(f"{self.url} says that it took {len(data)} bytes, and has {size} of them")

    def _rename(self, name: str, new: str, overwrite: bool) -> bool:
        """Give a file another name; False if that is taken and not to be replaced.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        """
        source, target = self._path(name), self._path(new)
        headers = {"Destination": self._host + target, "Overwrite": "T" if overwrite else "F"}
        for no_parent in (NO_PARENT_OF_TARGET, NO_PARENT):
            answer = self._ask("MOVE", source, MADE, (*no_parent, 412), headers=headers, whole=True)
            if answer.status in MADE:
                return True
            if answer.status == 412:
                return False
            self._make_parents(target)
        raise FileNotFoundError(name)

    def _make_parents(self, path: str) -> None:
        """Make the folders above a path, the uppermost first."""
        parts = path.strip("/").split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            self._ask("MKCOL", "/" + "/".join(parts[:depth]), MADE, (*EXISTS, *REFUSED))  # those of others are there

    def stat(self, names: Sequence[str]) -> dict[str, FileStat]:
        def one(name: str) -> FileStat | None:
            found = self._list(self._path(name), depth=0)
            return FileStat(name, *found[0][2:]) if found and not found[0][1] else None

        return {status.name: status for status in self._each(one, names) if status is not None}

    def remove(self, names: Sequence[str]) -> int:
        freed = 0
        for name, status in self.stat(names).items():
            if self._ask("DELETE", self._path(name), DONE, ABSENT) is not None:
                freed += status.nbytes
        return freed

    def walk(self, prefix: str) -> Iterator[FileStat]:
        path = self._path(prefix)
        for below, is_folder, nbytes, modified in self._list(path, depth=1):
            if below.rstrip("/") == unquote(path):
                continue  # the folder itself
            name = f"{prefix}/{below.rstrip('/').rpartition('/')[2]}"
            if is_folder:
                yield from self.walk(name)
            else:
                yield FileStat(name, nbytes, modified)

    def move(self, name: str, new: str) -> None:
        self._rename(name, new, overwrite=True)

    def close(self) -> None:
        """Let go of connections."""
        self._connections.clear()

    def _list(self, path: str, depth: int) -> list[tuple[str, bool, int, float]]:
        """Return path, whether it is a folder, size and time of what is at a path, and below it with depth 1."""
        headers = {"Depth": str(depth), "Content-Type": "application/xml"}
        answer = self._ask("PROPFIND", path, LISTED, ABSENT, body=PROPERTIES, headers=headers)
        if answer is None:
            return []
        try:
            return listed(answer.data)
        except ValueError as error:
            raise StoreError(f"{self.url} answers a listing with what is none: {error}") from error

    def _ask(
        self,
        method: str,
        path: str,
        good: Sequence[int],
        allowed: Sequence[int] = (),
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        whole: bool = False,
    ) -> Any:
        """Make a request; its answer, or None (the answer, if `whole`) for one of the other allowed codes."""
        if time.monotonic() < self._away_until:
            raise StoreUnavailable(self._away)  # in the same words, so that it is told once
        sent = {**self._sign_in.headers(), **(headers or {})}
        # A step waits for what is read; what is written waits in the background, and servers take their time for it.
        patience = urllib3.Timeout(connect=5, read=limits().seconds) if method == "GET" else PATIENCE
        try:
            answer = self._connections.request(method, self._host + path, body=body, headers=sent, timeout=patience)
        except urllib3.exceptions.HTTPError as error:
            raise self._unavailable(f"does not answer as it should: {_reason(error)}") from error
        if answer.status in good:
            return answer
        if answer.status in allowed:
            return answer if whole else None
        why = f"{answer.status} {answer.reason or ''}".strip()
        if answer.status in REFUSED:
            raise StoreUnavailable(f"{self.url} refuses us: {why}, {self._sign_in.told()}")
        if answer.status >= 500 and answer.status != 507:
            raise self._unavailable(f"does not answer as it should: {why}")
        raise StoreError(f"{self.url}: {method} of {unquote(path)}: {why}")

    def _unavailable(self, why: str) -> StoreUnavailable:
        self._away, self._away_until = f"{self.url} {why}", time.monotonic() + self.rest_after_failure
        return StoreUnavailable(self._away)

    def _each(self, function: Callable[[T], R], given: Sequence[T]) -> Iterator[R]:
        # At the interpreter's exit the pool takes no more work, and the last uses are written then.
        return self._pool.map(function, given) if len(given) > 1 else map(function, given)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{quote(name)}"


def listed(data: bytes) -> list[tuple[str, bool, int, float]]:
    """Return path, whether it is a folder, size and time of each file in a server's answer.

    Raises
    ------
    ValueError
        It is none.

    Examples
    --------
    >>> listed(b'<multistatus xmlns="DAV:"><response><href>/a</href></response></multistatus>')[0][:3]
    ('/a', False, 0)
    """
    try:
        return [_described(each) for each in ElementTree.fromstring(data).iter("{DAV:}response")]
    except (ElementTree.ParseError, TypeError, OverflowError) as error:  # no XML, no date, a date far off
        raise ValueError(str(error)) from None


def _described(response: ElementTree.Element) -> tuple[str, bool, int, float]:
    """Return path, whether it is a folder, size and time of one file of a listing."""
    path = unquote(urlsplit(response.findtext("{DAV:}href", "")).path)
    is_folder = response.find(".//{DAV:}resourcetype/{DAV:}collection") is not None
    size = response.findtext(".//{DAV:}getcontentlength") or "0"
    when = response.findtext(".//{DAV:}getlastmodified")
    return path, is_folder, int(size), parsedate_to_datetime(when).timestamp() if when else time.time()


def _reason(error: BaseException) -> str:
    """Return what went wrong, without what urllib3 says around it."""
    inner = getattr(error, "reason", None)
    return f"{type(inner or error).__name__}: {inner or error}"
