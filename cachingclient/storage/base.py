"""The contract of a store: what is kept, and the few things that can be asked of it.

A store keeps *entries*. An entry is a small description (:class:`EntryInfo`) filed under one or more keys, and the
bytes of a result: inside the description when they are few, else in a blob named by its digest. Every store
promises the same:

- what is found is whole: a description appears only after everything that it names;
- the first writer of a key wins, and later writers of that key change nothing;
- what is read is what was written: its digest is verified, and what does not verify is :class:`EntryLost`;
- a key that is not there, or whose description is damaged or of a newer format, is simply absent from ``find``.

A new kind of store is one module with a subclass of :class:`Store` and one line in ``opening.py``; the checks in
``tests/storage/contract.py`` say what it still lacks.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cachingclient.storage.outline import Outline

SURVEYED = 10_000  # entries at once

Frame = memoryview
"""A flat view of bytes (format ``B``, one dimension, contiguous)."""


class StoreError(Exception):
    """A store could not do what was asked; the analysis goes on without it."""


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
    """What is to be written: a description to be, and the encoded value.

    ``keys`` are the keys it is filed under; the first is its own, the others (a content key) lead to the same result.
    """

    keys: tuple[str, ...]
    kind: str
    name: str
    seconds: float
    details: Mapping[str, Any]
    encoded: Encoded


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


class Store(ABC):
    """Where results are kept. Safe to use from many threads and processes at once.

    ``url`` says where, and with ``options`` is all that pickling a store sends: the other side opens it again.
    ``read_only`` is true where nothing can be written; ``write``, ``delete`` and ``touch`` then do nothing.
    """

    url: str
    options: Mapping[str, Any]
    read_only: bool = False
    data_only: bool = False  # whether values that need pickle are refused
    gathers: bool = False  # whether what was written is safe only after ``flush``
    latency: float = 0.0005  # seconds before the first byte of an entry; a guess by kind of store
    bandwidth: float = 1e9  # bytes a second once it flows

    @abstractmethod
    def find(self, keys: Iterable[str]) -> dict[str, EntryInfo]:
        """Look all keys up in one go. Keys with no usable entry are absent; damaged ones also warn.

        Raises
        ------
        StoreUnavailable
            The store does not answer within its time limit.
        """

    @abstractmethod
    def payload(self, info: EntryInfo) -> bytes | Frame:
        """Load the bytes of an entry, verified. Raises as ``read`` does."""

    def read(self, info: EntryInfo) -> Any:
        """Load the value: equal to what was kept, of the same type, arrays writable, changes to it change no entry.

        Raises
        ------
        EntryLost
            It is gone, damaged or can't be decoded here. What is damaged is moved out of the way where possible.
        StoreUnavailable
            The store does not answer.
        """
        from cachingclient.storage.codecs import decode  # codecs import this module

        payload = self.payload(info)
        try:
            return decode(payload, data_only=self.data_only)
        except Exception as error:  # a missing library or a class that changed; the run goes on without the entry
            raise EntryLost(info.key, f"it can't be decoded here: {type(error).__name__}: {error}") from error

    def slim(self, info: EntryInfo) -> EntryInfo:
        """What of a description another process needs to read the entry: there may be thousands to send."""
        return replace(info, details={})

    @abstractmethod
    def write(self, entry: Entry, *, overwrite: bool = False) -> bool:
        """Keep a result. True if it is ours that is now filed, False if another was there first.

        Raises
        ------
        StoreError
            It could not be written (disk full, refused, the value changed meanwhile); nothing partial is visible.
        """

    @abstractmethod
    def alias(self, info: EntryInfo, keys: Iterable[str]) -> int:
        """File a found result under more keys, without its bytes being read or written. Returns how many were new."""

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> int:
        """Remove entries, and the blobs that nothing else refers to. Returns the bytes freed; absent keys are fine."""

    def evict(self, used: Iterable[tuple[str, float]]) -> int:
        """Remove entries by key, but for those that are pinned or, where the store can tell, were used since."""
        pinned = self.pins()
        return self.delete(key for key, _ in used if key not in pinned)

    @abstractmethod
    def scan(self) -> Iterator[EntryInfo]:
        """Every entry once, under its own key, in no order and in bounded memory; the payload may be left out."""

    def survey(self, *, times: bool = True) -> Iterator[Outline]:
        """What ``scan`` yields, as columns and without details; last uses may be left out without ``times``."""
        from cachingclient.storage.outline import Outline  # which imports this module

        infos = self.scan()
        while batch := list(islice(infos, SURVEYED)):
            yield Outline.of(batch)

    @abstractmethod
    def touch(self, keys: Iterable[str]) -> None:
        """Record that entries were used, cheaply; allowed to fail silently and to be late by an hour."""

    def pin(self, keys: Iterable[str], pinned: bool = True) -> None:
        """Protect entries from eviction, or stop doing so."""
        raise StoreError(f"{self.url} has no pins")

    def pins(self) -> set[str]:
        """The keys that are pinned."""
        return set()

    def collect(self, grace: float, *, dry_run: bool = False) -> tuple[int, int]:
        """Remove what belongs to no entry and is older than ``grace`` seconds. Returns how many files and bytes."""
        return 0, 0

    def check(self, *, repair: bool = False) -> Iterator[Problem | None]:
        """Read every entry in full: None for a sound one, else what is wrong (and, with ``repair``, mend it)."""
        raise StoreError(f"{self.url} can't be verified")

    def totals(self) -> dict[str, tuple[int, int]]:
        """How many files and bytes there are of each sort, without reading them."""
        return {}

    def lease(self, key: str, seconds: float) -> Lease | None:
        """Claim the running of a step for some seconds at a time; None if another has claimed it."""
        return Lease()

    def recent(self, limit: int) -> list[EntryInfo]:
        """The entries that were used last, the last first, at most so many."""
        return heapq.nlargest(limit, self.scan(), key=lambda info: info.last_used or info.created)

    def load_cost(self, nbytes: int) -> float:
        """Estimate the seconds that loading a result of this size takes."""
        return self.latency + nbytes / self.bandwidth

    def refresh(self) -> None:  # noqa: B027  most stores ask each time
        """Have the next look-up see what others have written by now."""

    def flush(self) -> None:  # noqa: B027  most stores write at once
        """Send on what was gathered; what was written before is safe after it. Raises StoreError if it can't."""

    def close(self) -> None:  # noqa: B027  most stores hold nothing
        """Let go of connections. The store may be used again afterwards."""

    def __reduce__(self) -> tuple[Callable[..., Store], tuple[str, dict[str, Any]]]:
        return _reopen, (self.url, dict(self.options))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}{' (read-only)' if self.read_only else ''}>"


def _reopen(url: str, options: dict[str, Any]) -> Store:
    from cachingclient.storage.opening import sent_store  # opening imports this module

    return sent_store(url, options)
