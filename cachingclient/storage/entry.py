"""A description as a file: one line that guards it, then JSON, then the result itself when it is small.

::

    cachingclient-entry 1 <xxh3-128 of all that follows the line> <bytes of JSON>\\n
    {"keys": [...], "kind": ..., "name": ..., ...}<payload>

The digest makes truncation and flipped bits visible. A file of a newer format, or with codecs that are unknown
here, is not an error: it is no entry for this version.
"""

from __future__ import annotations

import json
import time
from typing import Any

import xxhash

from cachingclient.storage.base import Entry, EntryInfo
from cachingclient.storage.codecs import readable

MAGIC = b"cachingclient-entry "
FORMAT = 1
INLINE = 64 * 1024  # payloads up to this travel inside the description


class DamagedEntryError(ValueError):
    """The bytes are not a whole description."""


def pack(entry: Entry, payload: bytes | None, *, created: float | None = None) -> bytes:
    """Write the description of an entry, with the payload when it is small.

    Examples
    --------
    >>> from cachingclient.storage.codecs import encode
    >>> value = encode(42)
    >>> data = pack(Entry(("0f" * 16,), "result", "answer", 1.5, {"user": "ada"}, value), b"".join(value.frames))
    >>> unpack("0f" * 16, data).details["user"]
    'ada'
    >>> unpack("0f" * 16, data[:-1])
    Traceback (most recent call last):
    cachingclient.storage.entry.DamagedEntryError: its bytes are not those that were written
    """
    encoded = entry.encoded
    fields = {
        "keys": list(entry.keys),
        "kind": entry.kind,
        "name": entry.name,
        "codec": encoded.codec,
        "digest": encoded.digest,
        "nbytes": encoded.nbytes,
        "created": time.time() if created is None else created,
        "seconds": entry.seconds,
        "codecs": dict(encoded.codecs),
        "details": {**entry.details, "libraries": dict(encoded.libraries)},
        "inline": payload is not None,
    }
    return _guard(json.dumps(fields, separators=(",", ":")).encode(), payload or b"")


def unpack(key: str, data: bytes | memoryview) -> EntryInfo | None:
    """Read a description back; None if it is of a newer format.

    Raises
    ------
    DamagedEntryError
        The bytes are not those that were written, or never were a description.
    """
    fields, payload = _open(data)
    if fields is None or not readable(fields["codecs"]):
        return None
    if key not in fields["keys"]:
        raise DamagedEntryError("it is filed under a key that is not its own")
    return EntryInfo(
        key,
        fields["kind"],
        fields["name"],
        fields["codec"],
        fields["digest"],
        fields["nbytes"],
        fields["created"],
        fields["seconds"],
        fields["details"],
        payload if fields["inline"] else None,
        tuple(fields["keys"]),
    )


def refiled(data: bytes, keys: tuple[str, ...]) -> bytes:
    """Return the same description for other keys."""
    fields, payload = _open(data)
    if fields is None:
        raise DamagedEntryError("it is of a newer format")
    return _guard(json.dumps({**fields, "keys": list(keys)}, separators=(",", ":")).encode(), payload)


def _guard(body: bytes, payload: bytes) -> bytes:
    state = xxhash.xxh3_128(body)
    state.update(payload)
    return b"%b%d %b %d\n%b%b" % (MAGIC, FORMAT, state.hexdigest().encode(), len(body), body, payload)


def _open(data: bytes | memoryview) -> tuple[dict[str, Any] | None, bytes]:
    data = bytes(data)
    line, newline, rest = data.partition(b"\n")
    words = line[len(MAGIC) :].split(b" ")
    if not (newline and line.startswith(MAGIC) and words[0].isdigit()):
        raise DamagedEntryError("it is not a description")
    if int(words[0]) > FORMAT:
        return None, b""
    if len(words) != 3 or xxhash.xxh3_128_hexdigest(rest).encode() != words[1] or not words[2].isdigit():
        raise DamagedEntryError("its bytes are not those that were written")
    length = int(words[2])
    return json.loads(rest[:length]), rest[length:]
