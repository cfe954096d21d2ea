"""What web servers say of a file: asked by HEAD, or for one byte."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from typing import cast

from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.inputs.checksums import of_headers
from cachingclient.hashing.inputs.fingerprint import Fingerprint
from cachingclient.hashing.inputs.signed import unsigned

_WANTED = {"Want-Digest": "adler32, md5, crc32c, sha-256", "Want-Repr-Digest": "sha-256=2"}
"""Asks for checksums of the content; a server that knows none takes no notice."""


def ask_http(url: str, timeout: float) -> Fingerprint | None:
    """Return what a web server says of a file; None if it says that none is there.

    Raises
    ------
    Unidentifiable
        If it says nothing by which a change could be seen.
    """
    try:
        headers = _headers(url, timeout)
    except urllib.error.HTTPError as error:
        if error.code in (404, 410):
            return None
        raise
    etag, changed, size = headers.get("ETag"), headers.get("Last-Modified"), _size_told(headers)
    if changed is None and (etag is None or etag.startswith("W/")):
        what = "neither an ETag" if etag is None else "a weak ETag and no"
        raise Unidentifiable(
            f"{unsigned(url)}, whose server gives {what}{' nor a' if etag is None else ''} time of change"
        )
    sums, relayed = of_headers(cast(Mapping[str, str], headers)), _is_relayed(headers)
    return Fingerprint(url, "remote", size, checksum=changed, etag=etag, sums=sums, relayed=relayed)


def _is_relayed(headers: Message) -> bool:
    """Tell whether a cache answers, or a server that may be one and tells what another said."""
    through = any(headers.get(name) is not None for name in ("Via", "Age", "X-Cache"))
    return through or (headers.get("Server") or "").lower().startswith("xrootd")


def _headers(url: str, timeout: float) -> Message:
    """Return what a server says of a file: asked by HEAD, or for the first byte where a signature allows GET alone."""
    url = url.replace("dav", "http", 1) if url.startswith("dav") else url
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=_WANTED, method="HEAD"), timeout=timeout
        ) as response:
            return cast(Message, response.headers)
    except urllib.error.HTTPError as error:
        if error.code not in (400, 401, 403, 405, 501):
            raise
        refused = error
    try:
        request = urllib.request.Request(url, headers={"Range": "bytes=0-0"})
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return cast(Message, response.headers)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # an empty file has no first byte
            return error.headers
        raise error if error.code in (404, 410) else refused from None


def _size_told(headers: Message) -> int | None:
    """Return the size of a whole file, of which the answer may hold a part."""
    whole = (headers.get("Content-Range") or "").rpartition("/")[2]
    size = whole if whole.isdecimal() else None if "Content-Range" in headers else headers.get("Content-Length")
    return None if size is None else int(size)
