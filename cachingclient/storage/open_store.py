"""From a URL to a store: the one place where kinds of stores are listed."""

from __future__ import annotations

import difflib
import json
import logging
import os
import threading
import urllib.parse
from collections.abc import Callable
from typing import Any

from cachingclient.forks.children import free_in_children
from cachingclient.forks.patience import in_time
from cachingclient.storage.base import Store, open_pickled_with
from cachingclient.storage.files.folder import Folder
from cachingclient.storage.files.local import LocalFolder
from cachingclient.storage.files.store import FileSystemStore
from cachingclient.storage.limits import limits
from cachingclient.storage.model import StoreError, StoreUnavailable
from cachingclient.storage.options import UnknownOption, check_flags, names_taken, refuse_unknown
from cachingclient.storage.wrappers.wrapper import SentStore

logger = logging.getLogger("cachingclient")

Memo = tuple[str, str, int]
_open: dict[Memo, Store] = {}
_sent: dict[Memo, Store] = {}
_lock = free_in_children(threading.Lock())


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
        Which entries are believed: ``"all"``, ``"data"`` (only those that load without running code), or ``"signed"``
        (only those signed with ``signing_key``, a key file, a folder of them, or a list of these). By default all where
        nobody else can write, as in a folder of your own, and data anywhere else.
    near
        The URL of a faster store that is looked at first; with ``behind=True`` results reach the far one later.
    **options
        The rest is for the file system behind the URL, as ``endpoint_url`` for S3.

    Raises
    ------
    ValueError
        The scheme is unknown, an option has a value that it does not take, or the place can't be a store.
    TypeError
        There is no such option, or what is to be opened is neither a path, a URL nor a store.
    StoreUnavailable
        The store does not answer or refuses the credentials.

    Examples
    --------
    >>> open_store("memory://docs")
    <FileSystemStore memory://docs>
    >>> open_store("gopher://hole")
    Traceback (most recent call last):
    ValueError: unknown scheme 'gopher' in store 'gopher://hole'; supported: dav, davs, file, http, https, ...
    """
    if isinstance(url_or_store, Store):
        return url_or_store
    if not isinstance(url_or_store, str | os.PathLike):
        raise TypeError(f"store {url_or_store!r}: takes a path, a URL, or a Store")
    url = os.fspath(url_or_store)
    _refuse_fsspec_cache(url)
    _refuse_password(url)
    scheme = scheme_of(url)
    memo = _memo(url, options)
    with _lock:
        if memo in _open:
            return _open[memo]
    store = _composed(scheme, url, options)
    with _lock:
        return _open.setdefault(memo, store)


def scheme_of(url: str) -> str:
    """Return the kind of store that a URL or a path names.

    Raises
    ------
    ValueError
        If there is no such kind, or the URL lacks a slash or a place.

    Examples
    --------
    >>> scheme_of("/scratch/cache")
    'file'
    >>> scheme_of("s3:/bucket")
    Traceback (most recent call last):
    ValueError: store 's3:/bucket' is no path; did you mean 's3://bucket'?
    """
    scheme, separator, _ = url.partition("://")
    if not separator:
        scheme, colon, rest = url.partition(":")
        before, slashes, after = url.partition("//")
        if slashes and before.lower() in STORES:
            scheme, colon, rest = before, ":", after
        if colon and scheme.lower() in STORES:
            raise ValueError(f"store {url!r} is no path; did you mean '{scheme.lower()}://{rest.lstrip('/')}'?")
        return "file"
    if scheme not in STORES:
        raise ValueError(f"unknown scheme {scheme!r} in store {url!r}; supported: {', '.join(sorted(STORES))}")
    if not url.removeprefix(f"{scheme}://").strip("/"):
        raise ValueError(f"store {url!r} names no place behind {scheme}://")
    return scheme


@open_pickled_with
def sent_store(url: str, options: dict[str, Any]) -> Store:
    """The store that another process sent: the open one, or one that is opened when it is first used."""
    memo = _memo(url, options)
    with _lock:
        return _open.get(memo) or _sent.setdefault(memo, SentStore(url, options, open_store))


def _refuse_password(url: str) -> None:
    """Refuse a password in a URL: URLs stand in reports, logs and what is sent to workers."""
    scheme, separator, rest = url.partition("://")
    user, at, host = rest.partition("/")[0].rpartition("@")
    if separator and at and ":" in user:
        raise ValueError(
            f"store '{scheme}://...@{host}/...' has a password in its URL, which reports and logs would show; "
            "give it as an option"
        )


def _refuse_fsspec_cache(url: str) -> None:
    """Refuse fsspec's way to name a copy on the local disk: the option ``near`` is the one way here."""
    before, chained, rest = url.partition("::")
    if chained and before.endswith("cache") and "/" not in before:
        raise ValueError(
            f"store {url!r}: copies near this machine are asked for by the option near, "
            f"as in open_store({rest!r}, near='file:///scratch/near')"
        )


def _memo(url: str, options: dict[str, Any]) -> Memo:
    return url, json.dumps(options, sort_keys=True, default=repr), os.getpid()


def _composed(scheme: str, url: str, options: dict[str, Any]) -> Store:
    """The store for a scheme, signed and with a near one before it where the options say so."""
    rest = {name: value for name, value in options.items() if name not in ("trust", "signing_key", "near", "behind")}
    trust = options.get("trust")
    if trust not in (None, "all", "data", "signed"):
        raise ValueError(f"trust={trust!r}: takes one of 'all', 'data', 'signed'")
    check_flags(options, "behind", "shared")
    if options.get("behind") and "near" not in options:
        raise ValueError("behind=True: takes near=URL, the store that results go to first")
    if "signing_key" in options and trust is None:  # else nothing would be signed, and nobody be told
        raise ValueError("signing_key: takes trust='signed', without which nothing is signed")
    store = _opened(scheme, url, {**rest, "trust": trust})
    store.options = dict(options)
    if trust == "signed":
        from cachingclient.storage.wrappers.keys import load_keys
        from cachingclient.storage.wrappers.signed import SignedStore

        try:
            store = SignedStore(store, load_keys(options.get("signing_key") or []), options)
        except ImportError as error:
            raise ImportError(f"signing_key: {error}: pip install 'cachingclient[trust]'") from error
    return _tiered(store, options) if "near" in options else store


def _opened(scheme: str, url: str, options: dict[str, Any]) -> Store:
    """Open a store; say which option it does not take, and how to install what it lacks."""
    try:
        return STORES[scheme](url, options)
    except ImportError as error:
        help_ = EXTRAS.get(scheme, "")
        raise ImportError(f"store {url!r}: {error}{help_ and f': pip install {help_}'}") from error
    except UnknownOption as error:
        raise _no_option(url, error.name, [*OPTIONS, *error.known]) from None


def _no_option(url: str, name: str, known: list[str]) -> TypeError:
    nearest = "".join(difflib.get_close_matches(name, known, 1))
    taken = known if len(known) <= 20 else [*OPTIONS, "and those of its library"]
    told = f"did you mean {nearest!r}?" if nearest else f"it takes {', '.join(taken)}"
    return TypeError(f"store {url!r} takes no option {name!r}; {told}")


def _tiered(far: Store, options: dict[str, Any]) -> Store:
    """A store with a near one before it, of which the same is believed; without it, should that not open."""
    from cachingclient.storage.wrappers.tiered import TieredStore

    believed = {"trust": far.trust, **{name: options[name] for name in ("signing_key",) if name in options}}
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
        verify, trust = options.pop("verify", "first"), options.pop("trust", None)
        return FileSystemStore(make(url, **options), verify=verify, trust=trust)

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
    refuse_unknown(options, names_taken(LocalFolder) - {"path"})
    try:
        return in_time(lambda: LocalFolder(local_path(url) or "", **options), limits().seconds)
    except TimeoutError:
        raise StoreUnavailable(f"{url} did not answer within {limits().seconds:g} s") from None


# Optional libraries, and fsspec itself, are imported when such a store is opened.
def _remote(url: str, **options: Any) -> Folder:
    from cachingclient.storage.files.fsspec_folder import RemoteFolder

    return RemoteFolder(url, **options)


def _s3(url: str, **options: Any) -> Folder:
    from cachingclient.storage.files.s3 import S3Folder

    return S3Folder(url, **options)


def _xrootd(url: str, **options: Any) -> Folder:
    from cachingclient.storage.files.xrootd import XRootDFolder

    refuse_unknown(options, ())
    return XRootDFolder(url)


def _webdav(url: str, **options: Any) -> Folder:
    from cachingclient.storage.files.webdav import WebDAVFolder

    return WebDAVFolder(url, **options)


def _rucio(url: str, options: dict[str, Any]) -> Store:
    from cachingclient.storage.rucio.store import RucioStore

    return RucioStore(url, **{name: value for name, value in options.items() if name != "verify"})


STORES: dict[str, Callable[[str, dict[str, Any]], Store]] = {
    "file": _files(_local),
    "memory": _files(_remote),
    "s3": _files(_s3),
    "root": _files(_xrootd),
    "rucio": _rucio,
    "dav": _files(_webdav),
    "davs": _files(_webdav),
    "http": _files(_remote),
    "https": _files(_remote),
}
EXTRAS = {
    "s3": "'cachingclient[s3]'",
    "root": "'cachingclient[xrootd]'",
    "rucio": "'cachingclient[rucio]'",
    "dav": "'cachingclient[webdav]'",
    "davs": "'cachingclient[webdav]'",
    "http": "'fsspec[http]'",
    "https": "'fsspec[http]'",
}
"""What brings the libraries of a scheme."""
OPTIONS = ("verify", "trust", "signing_key", "near", "behind")
"""What any store takes beside the options of its kind."""
