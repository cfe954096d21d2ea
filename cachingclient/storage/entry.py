"""A description as a file: one line that guards it, then JSON, then the result itself when it is small.

::

    cachingclient-entry 1 <xxh3-128 of all that follows the digest> <bytes of JSON>\\n
    {"keys": [...], "kind": ..., "name": ..., ...}<payload>

The digest makes truncation and flipped bits visible. A file of a newer format, or with codecs that are unknown
here, is not an error: this version can't read the entry, but looks after it as after any other. So a newer format keeps
the first line and the fields, and adds to them; one that can't lies in another folder than ``v1``.

The number 2 is that of a pack of such files (``packs.py``), of which each key's own is read.
"""

from __future__ import annotations

import json
import time

import xxhash

from cachingclient.storage.codecs import readable
from cachingclient.storage.description import parse
from cachingclient.storage.model import Entry, EntryInfo
from cachingclient.storage.packs import member

MAGIC = b"cachingclient-entry "
FORMAT = 1
OURS = MAGIC + b"%d " % FORMAT
LONGEST_NUMBER = 18  # digits
LONGEST = 32 << 20  # bytes of JSON
_as_json = json.JSONEncoder(separators=(",", ":")).encode
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
        (*entry.keys, *entry.later),
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
    body = _as_json(fields).encode()
    payload = info.payload or b""
    return b"%b%d %b %d\n%b%b" % (MAGIC, FORMAT, _digest(len(body), body + payload), len(body), body, payload)


def unpack(key: str, data: bytes | memoryview) -> EntryInfo | None:
    """Read a description back; None if only a newer version can read the entry.

    Raises
    ------
    DamagedEntryError
        The bytes are not those that were written, or never were a description.
    """
    data = member(key, bytes(data))
    if not data.startswith(OURS):
        if _number(data) > FORMAT:
            return None
        raise DamagedEntryError("it is not a description")
    info = _info(key, *_open(data), 0.0)
    return info if readable(info.details["codecs"]) else None


def outline(key: str, data: bytes | memoryview, last_used: float = 0.0) -> EntryInfo:
    """Read a description of any format for looking after it, with its payload left empty. Raises as ``unpack`` does."""
    data = member(key, bytes(data))
    if not _number(data):
        raise DamagedEntryError("it is not a description")
    return _info(key, _open(data)[0], b"", last_used)


def _info(key: str, body: bytes, payload: bytes, last_used: float) -> EntryInfo:
    try:
        info = parse(key, body, payload, last_used)
    except (
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
    ) as error:  # whole, but not by us
        raise DamagedEntryError(f"its fields are not those of a description: {error!r}") from None
    if key not in info.keys:
        raise DamagedEntryError("it is filed under a key that is not its own")
    return info


def _number(data: bytes) -> int:
    """The number of the format."""
    number = data.removeprefix(MAGIC).partition(b" ")[0]
    return int(number) if data.startswith(MAGIC) and _is_number(number) else 0


def _is_number(text: bytes) -> bool:
    return text.isdigit() and len(text) <= LONGEST_NUMBER


def _open(data: bytes) -> tuple[bytes, bytes]:
    """The JSON and the payload."""
    line, _, rest = data.partition(b"\n")
    length = described_bytes(data)
    if length < 0 or _digest(length, rest) != line[len(MAGIC) :].split(b" ")[1]:
        raise DamagedEntryError("its bytes are not those that were written")
    if length > LONGEST:
        raise DamagedEntryError(f"it describes a result in {length:,} bytes")
    return rest[:length], rest[length:]


def described_bytes(data: bytes) -> int:
    """Return how many bytes of JSON a description states, which take up to twenty times as much once they are read.

    Examples
    --------
    >>> described_bytes(b"cachingclient-entry 1 0f0f 120\\n{...")
    120
    """
    words = data[len(MAGIC) : max(0, data.find(b"\n", 0, INLINE))].split(b" ")
    return int(words[2]) if len(words) == 3 and _is_number(words[2]) else -1


def _digest(length: int, rest: bytes) -> bytes:
    state = xxhash.xxh3_128(b"%d\n" % length)
    state.update(rest)
    return state.hexdigest().encode()
