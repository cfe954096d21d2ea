"""A description as a file: one line that guards it, then JSON, then the result itself when it is small.

::

    cachingclient-entry 1 <xxh3-128 of all that follows the digest> <bytes of JSON>\\n
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


def describe(entry: Entry, payload: bytes | None) -> EntryInfo:
    """Return the description of an entry, with the payload when it is small."""
    encoded = entry.encoded
    codecs = {"codecs": dict(encoded.codecs), "libraries": dict(encoded.libraries)}
    return EntryInfo(
        entry.keys[0],
        entry.kind,
        entry.name,
        encoded.codec,
        encoded.digest,
        encoded.nbytes,
        time.time(),
        entry.seconds,
        {**entry.details, **codecs},
        payload,
        entry.keys,
    )


def pack(info: EntryInfo) -> bytes:
    """Write a description.

    Examples
    --------
    >>> from cachingclient.storage.codecs import encode
    >>> value = encode(42)
    >>> entry = Entry(("0f" * 16,), "result", "answer", 1.5, {"user": "ada"}, value)
    >>> data = pack(describe(entry, b"".join(value.frames)))
    >>> unpack("0f" * 16, data).details["user"]
    'ada'
    >>> unpack("0f" * 16, data[:-1])
    Traceback (most recent call last):
    cachingclient.storage.entry.DamagedEntryError: its bytes are not those that were written
    """
    fields = {
        "keys": info.keys,
        "kind": info.kind,
        "name": info.name,
        "codec": info.codec,
        "digest": info.digest,
        "nbytes": info.nbytes,
        "created": info.created,
        "seconds": info.seconds,
        "details": dict(info.details),
        "inline": info.payload is not None,
    }
    body = json.dumps(fields, separators=(",", ":")).encode()
    payload = info.payload or b""
    return b"%b%d %b %d\n%b%b" % (MAGIC, FORMAT, _digest(len(body), body + payload), len(body), body, payload)


def unpack(
    key: str, data: bytes | memoryview, *, with_payload: bool = True, last_used: float = 0.0
) -> EntryInfo | None:
    """Read a description back; None if it is of a newer format. A payload may be left empty.

    Raises
    ------
    DamagedEntryError
        The bytes are not those that were written, or never were a description.
    """
    fields, payload = _open(data)
    if fields is None:
        return None
    try:
        info = _info(key, fields, payload if with_payload else b"", last_used)
        if not readable(info.details["codecs"]):
            return None
    except (KeyError, TypeError, ValueError) as error:  # whole, but written by something else than this
        raise DamagedEntryError(f"its fields are not those of a description: {error!r}") from None
    if key not in info.keys:
        raise DamagedEntryError("it is filed under a key that is not its own")
    return info


def _info(key: str, fields: dict[str, Any], payload: bytes, last_used: float) -> EntryInfo:
    return EntryInfo(
        key,
        str(fields["kind"]),
        str(fields["name"]),
        str(fields["codec"]),
        str(fields["digest"]),
        int(fields["nbytes"]),
        float(fields["created"]),
        float(fields["seconds"]),
        fields["details"],
        payload if fields["inline"] else None,
        tuple(fields["keys"]),
        last_used,
    )


def _open(data: bytes | memoryview) -> tuple[dict[str, Any] | None, bytes]:
    data = bytes(data)
    line, newline, rest = data.partition(b"\n")
    words = line[len(MAGIC) :].split(b" ")
    if not (newline and line.startswith(MAGIC) and words[0].isdigit()):
        raise DamagedEntryError("it is not a description")
    if int(words[0]) > FORMAT:
        return None, b""
    length = int(words[2]) if len(words) == 3 and words[2].isdigit() else -1
    if int(words[0]) != FORMAT or _digest(length, rest) != words[1]:
        raise DamagedEntryError("its bytes are not those that were written")
    fields = json.loads(rest[:length].decode())
    if not isinstance(fields, dict):
        raise DamagedEntryError("it is not a description")
    return fields, rest[length:]


def _digest(length: int, rest: bytes) -> bytes:
    state = xxhash.xxh3_128(b"%d\n" % length)
    state.update(rest)
    return state.hexdigest().encode()
