"""From a URL to a store: the one place where kinds of stores are listed."""

from __future__ import annotations

import json
import os
import threading
import urllib.parse
from collections.abc import Callable
from typing import Any

from cachingclient.storage.base import Store
from cachingclient.storage.filesystem import FileSystemStore
from cachingclient.storage.local import LocalFolder

_open: dict[tuple[str, str, int], Store] = {}
_lock = threading.Lock()


def open_store(url_or_store: str | os.PathLike[str] | Store, **options: Any) -> Store:
    """Open the store at a URL, or return a store as it is; the same URL and options give the same store.

    Parameters
    ----------
    url_or_store
        ``file:///folder`` or a path, ``memory://name``, or a :class:`Store`.
    **options
        ``verify`` (``"always"``, ``"first"`` or ``"never"``); the rest is for the file system behind the URL.

    Raises
    ------
    ValueError
        The scheme is unknown, or the place can't be a store.
    StoreUnavailable
        The store does not answer or refuses the credentials.

    Examples
    --------
    >>> open_store("memory://docs")
    <FileSystemStore memory://docs>
    >>> open_store("gopher://hole")
    Traceback (most recent call last):
    ValueError: unknown scheme 'gopher' in store 'gopher://hole'; supported: file, memory
    """
    if isinstance(url_or_store, Store):
        return url_or_store
    url = os.fspath(url_or_store)
    scheme, separator, _ = url.partition("://")
    if not separator:
        scheme = "file"
    if scheme not in STORES:
        raise ValueError(f"unknown scheme {scheme!r} in store {url!r}; supported: {', '.join(sorted(STORES))}")
    memo = url, json.dumps(options, sort_keys=True, default=repr), os.getpid()
    with _lock:
        if memo not in _open:
            _open[memo] = STORES[scheme](url, options)
        return _open[memo]


def _local(url: str, options: dict[str, Any]) -> Store:
    path = url
    if "://" in url:
        parts = urllib.parse.urlsplit(url)
        if parts.netloc not in ("", "localhost"):
            raise ValueError(f"store {url!r} names a host; a file URL takes an absolute path, as in file:///folder")
        path = urllib.parse.unquote(parts.path)
    folder = LocalFolder(path, memory_map=options.get("memory_map"))
    return FileSystemStore(folder, verify=options.get("verify", "first"), options=options)


def _remote(url: str, options: dict[str, Any]) -> Store:
    from cachingclient.storage.remote import RemoteFolder  # fsspec is not needed for local stores

    rest = {name: value for name, value in options.items() if name != "verify"}
    return FileSystemStore(RemoteFolder(url, **rest), verify=options.get("verify", "first"), options=options)


def _s3(url: str, options: dict[str, Any]) -> Store:
    from cachingclient.storage.s3 import S3Folder  # needs s3fs

    rest = {name: value for name, value in options.items() if name != "verify"}
    return FileSystemStore(S3Folder(url, **rest), verify=options.get("verify", "first"), options=options)


STORES: dict[str, Callable[[str, dict[str, Any]], Store]] = {
    "file": _local,
    "memory": _remote,
    "s3": _s3,
    "http": _remote,
    "https": _remote,
}
