"""From a URL to a store: the one place where kinds of stores are listed."""

from __future__ import annotations

import json
import logging
import os
import threading
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xxhash

from cachingclient.storage.base import Store, StoreError
from cachingclient.storage.filesystem import FileSystemStore
from cachingclient.storage.folder import Folder
from cachingclient.storage.local import LocalFolder
from cachingclient.storage.wrapping import SentStore

logger = logging.getLogger("cachingclient")

CACHED = "simplecache::"
Memo = tuple[str, str, int]
_open: dict[Memo, Store] = {}
_sent: dict[Memo, Store] = {}
_lock = threading.Lock()


def open_store(url_or_store: str | os.PathLike[str] | Store, **options: Any) -> Store:
    """Open the store at a URL, or return a store as it is; the same URL and options give the same store.

    Parameters
    ----------
    url_or_store
        ``file:///folder`` or a path, ``s3://bucket/prefix``, another of the supported schemes, or a :class:`Store`.
    verify
        When digests are checked: at every read (``"always"``), at an entry's first read in a process (``"first"``,
        the default), or ``"never"``.
    trust
        Which entries are believed: ``"all"`` (the default), ``"data"`` (only those that load without running
        code), or ``"signed"`` (only those signed with ``signing_key``, a key file or a list of them).
    near
        The URL of a faster store that is looked at first; with ``behind=True`` results reach the far one later.
    simplecache
        For a URL that begins with ``simplecache::``: ``{"cache_storage": folder}``, where copies of results go.
    **options
        The rest is for the file system behind the URL, as ``endpoint_url`` for S3.

    Raises
    ------
    ValueError
        The scheme is unknown, an option has a value that it does not take, or the place can't be a store.
    StoreUnavailable
        The store does not answer or refuses the credentials.

    Examples
    --------
    >>> open_store("memory://docs")
    <FileSystemStore memory://docs>
    >>> open_store("gopher://hole")
    Traceback (most recent call last):
    ValueError: unknown scheme 'gopher' in store 'gopher://hole'; supported: file, http, https, memory, ...
    """
    if isinstance(url_or_store, Store):
        return url_or_store
    url = os.fspath(url_or_store)
    scheme, separator, _ = url.removeprefix(CACHED).partition("://")
    if not separator:
        scheme = "file"
    if scheme not in STORES:
        raise ValueError(f"unknown scheme {scheme!r} in store {url!r}; supported: {', '.join(sorted(STORES))}")
    memo = _memo(url, options)
    with _lock:
        if memo in _open:
            return _open[memo]
    store = _cached(scheme, url, options) if url.startswith(CACHED) else _composed(scheme, url, options)
    with _lock:
        return _open.setdefault(memo, store)


def sent_store(url: str, options: dict[str, Any]) -> Store:
    """The store that another process sent: the open one, or one that is opened when it is first used."""
    memo = _memo(url, options)
    with _lock:
        return _open.get(memo) or _sent.setdefault(memo, SentStore(url, options, open_store))


def _memo(url: str, options: dict[str, Any]) -> Memo:
    return url, json.dumps(options, sort_keys=True, default=repr), os.getpid()


def _composed(scheme: str, url: str, options: dict[str, Any]) -> Store:
    """The store for a scheme, signed and with a near one before it where the options say so."""
    rest = {name: value for name, value in options.items() if name not in ("trust", "signing_key", "near", "behind")}
    trust = options.get("trust", "all")
    if trust not in ("all", "data", "signed"):
        raise ValueError(f"trust={trust!r}: takes one of 'all', 'data', 'signed'")
    store = STORES[scheme](url, {**rest, "data_only": trust == "data"})
    store.options = dict(options)
    if trust == "signed":
        from cachingclient.storage.trust import SignedStore, load_key

        files = options.get("signing_key") or []
        store = SignedStore(store, map(load_key, [files] if isinstance(files, str) else files), options)
    return _tiered(store, options) if "near" in options else store


def _cached(scheme: str, url: str, options: dict[str, Any]) -> Store:
    """A store whose results are left on the local disk when they are read, as fsspec's ``simplecache::`` has it.

    What there is is asked of the store itself each time: a copy is only of bytes, which their digest names.
    """
    from cachingclient.storage.tiered import TieredStore

    rest = {name: value for name, value in options.items() if name != "simplecache"}
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    usual = base / "cachingclient-simplecache" / xxhash.xxh3_128_hexdigest(url.encode())
    near = open_store(options.get("simplecache", {}).get("cache_storage", usual))
    store = TieredStore(near, _composed(scheme, url.removeprefix(CACHED), rest), finds_near=False, options=options)
    store.url = url
    return store


def _tiered(far: Store, options: dict[str, Any]) -> Store:
    """A store with a near one before it, of which the same is believed; without it, should that not open."""
    from cachingclient.storage.tiered import TieredStore

    believed = {name: options[name] for name in ("trust", "signing_key") if name in options}
    try:
        near = open_store(options["near"], **believed)
    except StoreError as error:
        logger.warning("the near store is left out: %s", error)
        return far
    return TieredStore(near, far, behind=options.get("behind", False), options=options)


def _files(make: Callable[..., Folder]) -> Callable[[str, dict[str, Any]], Store]:
    """Stores of files in the folders that this makes."""

    def open_files(url: str, options: dict[str, Any]) -> Store:
        options = dict(options)
        verify, data_only = options.pop("verify", "first"), options.pop("data_only", False)
        return FileSystemStore(make(url, **options), verify=verify, data_only=data_only)

    return open_files


def local_path(url: str) -> str | None:
    """The folder that a path or a file URL names; None for the URL of another kind of store.

    Examples
    --------
    >>> local_path("/scratch/a b#1"), local_path("file:///scratch/a%20b%231"), local_path("s3://bucket/a")
    ('/scratch/a b#1', '/scratch/a b#1', None)
    """
    if not url:
        raise ValueError("store '': takes a path or a URL")
    if "://" not in url:
        return url
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "file":
        return None
    if parts.netloc not in ("", "localhost"):
        raise ValueError(f"store {url!r} names a host; a file URL takes an absolute path, as in file:///folder")
    if "?" in url or "#" in url:  # what follows would be no part of the path
        raise ValueError(f"store {url!r} has a ? or # in it; a file URL takes them as %3F and %23, a path as they are")
    return urllib.parse.unquote(parts.path)


def _local(url: str, **options: Any) -> Folder:
    return LocalFolder(local_path(url) or "", **options)


# Optional libraries, and fsspec itself, are imported when such a store is opened.
def _remote(url: str, **options: Any) -> Folder:
    from cachingclient.storage.remote import RemoteFolder

    return RemoteFolder(url, **options)


def _s3(url: str, **options: Any) -> Folder:
    from cachingclient.storage.s3 import S3Folder

    return S3Folder(url, **options)


def _xrootd(url: str) -> Folder:
    from cachingclient.storage.xrootd import XRootDFolder

    return XRootDFolder(url)


def _rucio(url: str, options: dict[str, Any]) -> Store:
    from cachingclient.storage.rucio import RucioStore

    return RucioStore(url, **{name: value for name, value in options.items() if name != "verify"})


STORES: dict[str, Callable[[str, dict[str, Any]], Store]] = {
    "file": _files(_local),
    "memory": _files(_remote),
    "s3": _files(_s3),
    "root": _files(_xrootd),
    "rucio": _rucio,
    "http": _files(_remote),
    "https": _files(_remote),
}
