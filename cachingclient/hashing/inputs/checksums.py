"""Checksums of a file's content: those that servers tell of it, in one way to write them, and those computed here."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import xxhash

Sums = tuple[tuple[str, str], ...]
"""Checksums by their kinds, in hexadecimal digits."""

OWN = "xxh3"
KINDS = {"sha256": 64, "md5": 32, "crc32c": 8, "adler32": 8}
"""The kinds that servers tell, the strongest first, and how many digits each has."""
COMPUTED = ("sha256", "md5", "adler32")
"""Those that this process can compute of a local file."""
PARTS = "s3"
"""The kind of the ETags of objects that came in parts: of the same content in the same parts."""


class State(Protocol):
    """A checksum that is being computed."""

    def update(self, data: bytes, /) -> None:
        """Take more of the content."""

    def hexdigest(self) -> str:
        """Return the checksum."""


class _Adler32:
    """Adler-32 as hashlib would have it.

    Examples
    --------
    >>> state = _Adler32()
    >>> state.update(b"events")
    >>> state.hexdigest()
    '08eb0296'
    """

    def __init__(self) -> None:
        self._value = zlib.adler32(b"")

    def update(self, data: bytes, /) -> None:
        self._value = zlib.adler32(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


def state_of(kind: str) -> State:
    """Return the beginning of a checksum of a kind in `COMPUTED`, or of our own.

    Examples
    --------
    >>> state_of("md5").hexdigest()
    'd41d8cd98f00b204e9800998ecf8427e'
    """
    if kind == OWN:
        return xxhash.xxh3_128()
    return _Adler32() if kind == "adler32" else hashlib.new(kind, usedforsecurity=False)


def as_sum(kind: str, value: str) -> Sums:
    """Return a checksum as its server writes it, in hexadecimal digits or base64; nothing if it is of no known kind.

    Examples
    --------
    >>> as_sum("ADLER32", "A635712C"), as_sum("sha-256", "x"), as_sum("adler32", "135712c")
    ((('adler32', 'a635712c'),), (), (('adler32', '0135712c'),))
    """
    kind, value = kind.strip().lower().replace("-", ""), value.strip().strip('":')
    if (digits := KINDS.get(kind)) is None:
        return ()
    found = value.lower()
    if len(value) != digits and not (kind == "adler32" and len(value) < digits):
        try:
            found = base64.b64decode(value, validate=True).hex()
        except (binascii.Error, ValueError):
            return ()
    found = found.zfill(digits) if kind == "adler32" else found
    return ((kind, found),) if len(found) == digits and all(sign in "0123456789abcdef" for sign in found) else ()


def strongest(sums: Sums) -> tuple[str, str]:
    """Return the checksum by which a file is known where its server tells several.

    Examples
    --------
    >>> strongest((("adler32", "0135712c"), ("md5", "d41d8cd98f00b204e9800998ecf8427e")))[0]
    'md5'
    """
    return min(sums, key=lambda told: [*KINDS, PARTS].index(told[0]))


def of_object(etag: str | None) -> Sums:
    """Return what the ETag of an object in S3 says of its content: its MD5, or that of its parts.

    Servers that encrypt with keys of others make it of something else, which is no less the object's own.

    Examples
    --------
    >>> of_object('"d41d8cd98f00b204e9800998ecf8427e"'), of_object('W/"d41d8cd98f00b204e9800998ecf8427e"')
    ((('md5', 'd41d8cd98f00b204e9800998ecf8427e'),), ())
    """
    value = (etag or "").strip('"').lower()
    content, dash, parts = value.partition("-")
    known = as_sum("md5", content) if len(content) == KINDS["md5"] else ()
    if not dash:
        return known
    return ((PARTS, value),) if known and parts.isdecimal() else ()


def of_headers(headers: Mapping[str, str]) -> Sums:
    """Return what the answer of a web server says of a file's content.

    An ETag alone may be made of a time and a size, so it counts where the server is one of S3. An answer that holds a
    part may tell the checksum of the part.

    Examples
    --------
    >>> of_headers({"Digest": "adler32=03da0195,md5=1B2M2Y8AsgTpgAmY7PhCfg=="})
    (('adler32', '03da0195'), ('md5', 'd41d8cd98f00b204e9800998ecf8427e'))
    >>> of_headers({"ETag": '"d41d8cd98f00b204e9800998ecf8427e"'})
    ()
    """
    found = dict(_listed(headers.get("x-goog-hash")))
    if headers.get("Content-Range") is None:
        found |= dict(_listed(headers.get("Digest"))) | dict(_listed(headers.get("Repr-Digest")))
    if headers.get("x-amz-request-id") is not None:
        found |= dict(of_object(headers.get("ETag")))
    return tuple(found.items())


def _listed(header: str | None) -> Iterator[tuple[str, str]]:
    for each in (header or "").split(","):
        kind, _, value = each.partition("=")
        yield from as_sum(kind, value)


def of_info(scheme: str, info: Mapping[str, Any]) -> Sums:
    """Return what a file system of fsspec says of a file's content.

    Examples
    --------
    >>> of_info("s3", {"ETag": '"d41d8cd98f00b204e9800998ecf8427e"'})
    (('md5', 'd41d8cd98f00b204e9800998ecf8427e'),)
    """
    if scheme in ("s3", "s3a"):
        return of_object(info.get("ETag"))
    if scheme in ("gs", "gcs"):
        return as_sum("md5", str(info.get("md5Hash") or "")) + as_sum("crc32c", str(info.get("crc32c") or ""))
    return ()
