"""The contract of a store: the few things that can be asked of it.

A store keeps *entries*. An entry is a small description (:class:`EntryInfo`) filed under one or more keys, and the
bytes of a result: inside the description when they are few, else in a blob named by its digest. Every store
promises the same:

- an entry that is found is whole: a description appears only after everything that it names;
- the first writer of a key wins, and later writers of that key change nothing;
- the bytes that are read are the bytes that were written: their digest is verified, and a result whose digest does
  not verify is :class:`EntryLost`;
- a key that is not there, or whose description is damaged or of a newer format, is simply absent from ``find``.

A new kind of store is one module with a subclass of :class:`Store` and one line in ``open_store.py``; the checks in
``tests/storage/contract.py`` say what it still lacks.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cachingclient.storage.classes import IMPORTED, ClassChangedError, Classes
from cachingclient.storage.codecs import decode
from cachingclient.storage.columns import Outline
from cachingclient.storage.model import Entry, EntryInfo, EntryLost, Frame, Lease, Problem, StoreError


class Store(ABC):
    """Where results are kept. Safe to use from many threads and processes at once.

    ``url`` says where, and with ``options`` is all that pickling a store sends: the other side opens it again.
    ``read_only`` is true where nothing can be written; ``write``, ``delete`` and ``touch`` then do nothing.
    """

    url: str
    options: Mapping[str, Any]
    read_only: bool = False
    trust: str = "all"  # which entries are believed: "all", "data" or "signed"
    private: bool = False  # whether nobody else can write there
    gathers: bool = False  # whether written entries are safe only after ``flush``
    packs: bool = False  # whether ``write_together`` writes small entries for less than each costs alone
    places: tuple[str, ...] = ()  # details that say where this store has the bytes, which another has elsewhere
    latency: float = 0.0005  # seconds before the first byte of an entry; a guess by kind of store
    bandwidth: float = 1e9  # bytes a second once it flows

    @property
    def data_only(self) -> bool:
        """Whether values that need pickle are refused."""
        return self.trust == "data"

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

    def read(self, info: EntryInfo, classes: Classes = IMPORTED) -> Any:
        """Load the value: equal to what was kept, of the same type, arrays writable, changes to it change no entry.

        Classes and functions of the user's that it refers to are those that `classes` finds.

        Raises
        ------
        EntryLost
            It is gone, damaged or can't be decoded here. A damaged file is moved out of the way where possible.
        StoreUnavailable
            The store does not answer.
        """
        payload = self.payload(info)
        try:
            return decode(payload, classes, data_only=self.data_only)
        except ClassChangedError as error:
            raise EntryLost(info.key, str(error)) from error
        except Exception as error:  # a missing library or a class that changed; the run goes on without the entry
            raise EntryLost(info.key, f"it can't be decoded here: {type(error).__name__}: {error}") from error

    def slim(self, info: EntryInfo) -> EntryInfo:
        """The part of a description by which another process reads the entry: there may be thousands to send."""
        return replace(info, details={})

    @abstractmethod
    def write(self, entry: Entry, *, overwrite: bool = False) -> bool:
        """Keep a result. True if it is ours that is now filed, False if another was there first.

        Raises
        ------
        StoreError
            It could not be written (disk full, refused, the value changed meanwhile); nothing partial is visible.
        """

    def write_together(self, entries: Sequence[Entry]) -> list[bool]:
        """Keep those of many results that are small and new, all at once where the store `packs`; which were kept.

        Those that were not, also because others were there first, are left to ``write``. Raises as ``write`` does.
        """
        return [False] * len(entries)

    @abstractmethod
    def alias(self, info: EntryInfo, keys: Iterable[str], *, overwrite: bool = False) -> int:
        """File a found result under more keys, without its bytes being read or written; return how many were filed.

        What another result has under one of them stays, or makes room with ``overwrite``: there, and nowhere else.
        """

    def alias_together(self, entries: Sequence[tuple[EntryInfo, str]]) -> list[bool]:
        """File found results under one more key each, as ``write_together`` does with new ones; which were filed."""
        return [False] * len(entries)

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
        """The entries of ``scan`` as columns, without details; without ``times``, their last uses may be left out."""
        return Outline.batches(self.scan())

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
        """Read every entry in full: None for a sound one, else its problem (which ``repair`` mends)."""
        raise StoreError(f"{self.url} can't be verified")

    def damaged(self) -> Iterator[Problem]:
        """Each description that can't be read, and why; its entry is neither listed nor found."""
        return iter(())

    def remove_damaged(self) -> int:
        """Remove the descriptions that can't be read. Returns how many."""
        return 0

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
        """Send the gathered entries: those written before are safe then. Raises StoreError if they can't be sent."""

    def close(self) -> None:  # noqa: B027  most stores hold nothing
        """Let go of connections. The store may be used again afterwards."""

    def __reduce__(self) -> tuple[Callable[..., Store], tuple[str, dict[str, Any]]]:
        return _reopen, (self.url, dict(self.options))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}{' (read-only)' if self.read_only else ''}>"


def open_pickled_with(opener: Opener) -> Opener:
    """Say which function opens a store that was pickled; ``open_store.py`` does, which knows every kind of store."""
    _openers.append(opener)
    return opener


def _reopen(url: str, options: dict[str, Any]) -> Store:
    return _openers[-1](url, options)


Opener = Callable[[str, dict[str, Any]], Store]
_openers: list[Opener] = []
