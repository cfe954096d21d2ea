"""What a remote input looks like: one question to its server, never a download."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from cachingclient.hashing.digest import digest
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.inputs.checksums import as_sum, of_info
from cachingclient.hashing.inputs.fingerprint import Fingerprint
from cachingclient.hashing.inputs.signed import unsigned
from cachingclient.hashing.inputs.web import ask_http

SCHEMES = frozenset(
    [
        "file",
        "http",
        "https",
        "dav",
        "davs",
        "s3",
        "s3a",
        "gs",
        "gcs",
        "abfs",
        "abfss",
        "root",
        "roots",
        "xroot",
        "xroots",
        "gsiftp",
        "srm",
        "rucio",
        "hdfs",
        "webhdfs",
    ]
)
"""Schemes whose texts are taken for inputs; anything else before ``://`` is just text."""

AT_ONCE = 64

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):/")
_VERSION_KEYS = (
    "ETag",
    "etag",
    "e_tag",
    "md5",
    "md5Hash",
    "checksum",
    "adler32",
    "crc32c",
    "VersionId",
    "generation",
)
_TIME_KEYS = (
    "mtime",
    "LastModified",
    "last_modified",
    "modified",
    "updated",
    "timeModified",
    "modificationTime",
)

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def scheme_of(text: str) -> str | None:
    """Return the scheme of a URL that may be an input.

    Examples
    --------
    >>> scheme_of("root://eospublic.cern.ch//eos/a.root"), scheme_of("tcp://10.0.0.1/"), scheme_of("a/b")
    ('root', None, None)
    """
    match = _SCHEME.match(text)
    return match[1] if match is not None and match[1] in SCHEMES else None


def look_at_remote(url: str, timeout: float) -> Fingerprint | None:
    """Return what a URL's server says about it, or None if it says that nothing is there.

    Raises
    ------
    Unidentifiable
        If the server can't be asked, or says nothing by which a change could be seen.
    """
    ask, name = _ASKERS.get(scheme_of(url) or "", _ask_filesystem), unsigned(url)
    try:
        return run_with_timeout(timeout, ask, url, timeout)
    except FileNotFoundError:
        return None
    except Unidentifiable:
        raise
    except ImportError as error:
        raise Unidentifiable(f"{name}, which can't be looked at without another library ({error})") from error
    except TimeoutError as error:
        raise Unidentifiable(f"{name}, which did not answer within {timeout:g} s") from error
    except Exception as error:
        why = str(error).replace(url, name)
        refused = isinstance(error, PermissionError) or getattr(error, "code", None) in (401, 403)
        what = f"{name}, which can't be looked at now ({type(error).__name__}: {why})"
        raise Unidentifiable(what, refused=refused) from error


def run_with_timeout(timeout: float, function: Callable[..., _Out], *args: Any) -> _Out:
    """Return what a function returns, or raise TimeoutError; a thread that hangs does not keep the process alive."""
    return _started(function, *args)(timeout)


def _started(function: Callable[..., _Out], *args: Any) -> Callable[[float], _Out]:
    """Call a function in a thread; returns what waits for so many seconds for what it returns."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.extend((True, function(*args)))
        except BaseException as error:
            outcome.extend((False, error))

    thread = threading.Thread(target=run, name="look-at-input", daemon=True)
    thread.start()

    def result(timeout: float) -> _Out:
        thread.join(timeout)
        if len(outcome) < 2:
            raise TimeoutError
        if not outcome[0]:
            raise outcome[1]
        found: _Out = outcome[1]
        return found

    return result


def map_concurrently(function: Callable[[_In], _Out], items: Iterable[_In]) -> list[_Out]:
    """Return the results in order; one item is not worth a thread."""
    items = list(items)
    if len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(min(AT_ONCE, len(items)), thread_name_prefix="look-at-inputs") as pool:
        return list(pool.map(function, items))


def _ask_rucio(url: str, timeout: float) -> Fingerprint | None:
    """Ask for the files of a DID, ``rucio://scope:name``: their checksums don't change once they are there."""
    from rucio.client import Client
    from rucio.common.exception import DataIdentifierNotFound

    scope, _, name = url.partition("://")[2].replace("/", ":", 1).partition(":")
    try:
        files = sorted(
            (file["scope"], file["name"], file.get("bytes"), file.get("adler32"))
            for file in Client().list_files(scope, name)
        )
    except DataIdentifierNotFound:
        return None
    found = _summary(url, sum(file[2] or 0 for file in files), files)
    return replace(found, sums=as_sum("adler32", files[0][3] or "")) if len(files) == 1 else found


def _ask_xrootd(url: str, timeout: float) -> Fingerprint | None:
    """Ask for a file's size and time, and at once for a checksum, which counts in place of the time."""
    answer = _started(_content_told, url)
    seen = _ask_filesystem(url, timeout)
    if seen is None or not seen.stamp:
        return seen
    try:
        told = answer(timeout)
    except Exception:  # it does not even say what it is
        return replace(seen, relayed=True)
    if told.relayed or not told.sums:
        return replace(seen, sums=told.sums, relayed=told.relayed)
    # As text the time stays beside it, for a process that is not told the checksum.
    return replace(seen, checksum=":".join(told.sums[0]), stamp=seen.checksum or "", sums=told.sums)


def _content_told(url: str) -> Any:
    from cachingclient.hashing.inputs.xrootd import ask_content

    return ask_content(url)


def _ask_filesystem(url: str, timeout: float) -> Fingerprint | None:
    """Ask whatever file system fsspec has for the scheme."""
    from fsspec.core import url_to_fs

    try:
        filesystem, path = url_to_fs(url)
        return _ask_through(filesystem, path, url)
    except (FileNotFoundError, ImportError):
        raise
    except Exception as refused:
        # The program may have a file system of its own for these URLs, with its credentials.
        for filesystem in _instances(scheme_of(url) or ""):
            with contextlib.suppress(Exception):
                return _ask_through(filesystem, filesystem._strip_protocol(url), url)
        raise refused


def _instances(scheme: str) -> list[Any]:
    """Return the file systems that this process made for a scheme."""
    from fsspec import get_filesystem_class

    return list(get_filesystem_class(scheme)._cache.values())


def _ask_through(filesystem: Any, path: str, url: str) -> Fingerprint | None:
    filesystem.invalidate_cache()
    if "*" in path:
        listing: Mapping[str, Mapping[str, Any]] = filesystem.glob(path, detail=True)
    else:
        info = filesystem.info(path)
        if info.get("type") != "directory":
            seen = _version(url, info, filesystem, path)
            sums = of_info(scheme_of(url) or "", info)
            return Fingerprint(
                url, "remote", info.get("size"), checksum=seen[1], etag=seen[0], stamp=repr(seen), sums=sums
            )
        listing = filesystem.find(path, detail=True)
    if not listing:
        return None
    files = sorted((name, info.get("size"), *_version(url, info, filesystem, name)) for name, info in listing.items())
    return _summary(url, sum(file[1] or 0 for file in files), files)


def _version(url: str, info: Mapping[str, Any], filesystem: Any, path: str) -> tuple[str | None, str | None]:
    """Return what names this version of a file, and when it changed."""
    version = next((str(info[key]) for key in _VERSION_KEYS if info.get(key)), None)
    changed = next((info[key] for key in _TIME_KEYS if info.get(key)), None)
    if version is None and changed is None:
        try:
            changed = filesystem.modified(path)
        except NotImplementedError:
            raise Unidentifiable(
                f"{unsigned(url)}, whose server gives neither a version nor a time of change"
            ) from None
    return version, _as_text(changed)


def _as_text(changed: object) -> str | None:
    if isinstance(changed, datetime):
        return repr(changed.timestamp())
    return None if changed is None else str(changed)


def _summary(url: str, size: int, files: list[tuple[Any, ...]]) -> Fingerprint:
    return Fingerprint(url, "remote", size, checksum=f"{len(files)}:{digest(repr(files).encode()).hex()}")


_ASKERS: dict[str, Callable[[str, float], Fingerprint | None]] = {
    "http": ask_http,
    "https": ask_http,
    "dav": ask_http,
    "davs": ask_http,
    "rucio": _ask_rucio,
    **dict.fromkeys(("root", "roots", "xroot", "xroots"), _ask_xrootd),
}
