"""The data of stores: entries, their descriptions, values as bytes, and the errors that a store raises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Frame = memoryview
"""A flat view of bytes (format ``B``, one dimension, contiguous)."""


class StoreError(Exception):
    """A store could not find, read or write; the analysis goes on without it."""


class StoreUnavailable(StoreError):
    """The store does not answer, or refuses us: nothing can be read or written for now."""


class EntryLost(StoreError):
    """An entry that was found is gone, damaged, or can't be decoded here.

    Parameters
    ----------
    key
        The key under which it was found.
    why
        One line for the user.
    others
        The keys of others that are lost as well.

    Examples
    --------
    >>> str(EntryLost("0f" * 16, "its blob is missing"))
    'entry 0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f is lost: its blob is missing'
    """

    def __init__(self, key: str, why: str, others: tuple[str, ...] = ()) -> None:
        super().__init__(key, why, others)
        self.key = key
        self.why = why
        self.others = others

    def __str__(self) -> str:
        return f"entry {self.key} is lost: {self.why}"


class UncodableError(TypeError):
    """No codec can turn this value into bytes."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value as bytes: what ``codecs.encode`` returns and ``Store.write`` takes.

    The frames are views of the value's own memory where that is possible, so nothing is copied; should the value
    change before it is written, its bytes no longer have this digest and the store refuses them.
    """

    codec: str
    frames: tuple[Frame, ...]
    digest: str
    nbytes: int
    codecs: Mapping[str, int] = field(default_factory=dict)  # every codec inside, with its version
    libraries: Mapping[str, str] = field(default_factory=dict)  # name -> version of the libraries behind them
    classes: Mapping[str, str] = field(default_factory=dict)  # module:name -> digest of the user's that it refers to


@dataclass(frozen=True, slots=True)
class EntryInfo:
    """The description of a kept result.

    Examples
    --------
    >>> info = EntryInfo("0f" * 16, "result", "select", "numpy", "ab" * 16, 8, 0.0, 1.5, {}, None)
    >>> info.name, info.seconds
    ('select', 1.5)
    """

    key: str  # 32 hex digits: the key under which it was found
    kind: str  # "result", or "code" (a note: the ingredients of a code digest)
    name: str  # the step's name
    codec: str  # which codec wrote it
    digest: str  # xxh3-128 of the payload, in hex
    nbytes: int  # size of the payload
    created: float  # unix time
    seconds: float  # what running the step took
    details: Mapping[str, Any]  # whatever else is worth knowing, as JSON
    payload: bytes | None = None  # the result itself when it is small, else None: in a blob
    keys: tuple[str, ...] = ()  # every key the writer filed it under, its own first
    last_used: float = 0.0  # unix time; filled in by ``scan`` where the store knows it


@dataclass(frozen=True, slots=True)
class Entry:
    """A result to be written: the encoded value, and the facts that its description will hold.

    ``keys`` are the keys it is filed under; the first is its own, the others lead to the same result. ``later`` are
    keys under which it may be filed afterwards, by ``Store.alias``: who purges it removes it there too.
    """

    keys: tuple[str, ...]
    kind: str
    name: str
    seconds: float
    details: Mapping[str, Any]
    encoded: Encoded
    later: tuple[str, ...] = ()


def under(key: str, info: EntryInfo) -> EntryInfo:
    """Return the description of an entry as it is filed under one more key: its writer's, or one of its own.

    Examples
    --------
    >>> info = EntryInfo("0f" * 16, "result", "f", "numpy", "", 8, 0.0, 1.0, {}, keys=("0f" * 16, "0e" * 16))
    >>> under("0e" * 16, info).keys == info.keys, under("0d" * 16, info).keys
    (True, ('0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d',))
    """
    return replace(info, key=key, keys=info.keys if key in info.keys else (key,))


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong in a store: where, what, and whether it was mended."""

    name: str
    what: str
    mended: bool = False


class Lease:
    """A claim on running a step, which lasts until it is released or its holder dies; this one claims nothing."""

    def release(self) -> None:
        """Let others run the step."""
