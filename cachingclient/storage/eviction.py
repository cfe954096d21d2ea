"""Making room: which entries go, and what belongs to no entry.

The least recently used go first. Last uses are recorded to the hour, so among entries of the same hour those go
first that save the least time per byte.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from cachingclient.storage.base import EntryInfo, Store

DESCRIPTION = 1024  # bytes that an entry takes besides its result, about
HOUR = 3600.0
GRACE = 3600.0  # seconds for which files without an entry are left, as one may be on its way


@dataclass(slots=True)
class PruneReport:
    """What a pruning removed, or would remove."""

    entries: int = 0
    nbytes: int = 0
    seconds: float = 0.0  # of running that the removed entries saved
    kept_entries: int = 0
    kept_nbytes: int = 0
    orphans: int = 0
    orphan_nbytes: int = 0
    dry_run: bool = False
    steps: dict[str, int] = field(default_factory=dict)  # removed entries by step


def prune(
    store: Store,
    *,
    max_size: int | None = None,
    older_than: float | None = None,
    keep_last: int | None = None,
    step: str | None = None,
    dry_run: bool = False,
    grace: float = GRACE,
) -> PruneReport:
    """Remove entries by age, number and size, and what belongs to no entry. Pinned entries stay.

    Parameters
    ----------
    max_size
        Remove the least recently used until no more than this many bytes are left.
    older_than
        Remove what was not used for this many seconds.
    keep_last
        Keep the last used so many of each step, whatever ``older_than`` says; alone, remove all others.
    step
        Only look at steps whose name fits this pattern (``*``, ``?``, ``[...]``).
    dry_run
        Only say what would go.
    grace
        Leave files without an entry for this many seconds: a writer may be about to file them.

    Examples
    --------
    >>> from cachingclient.storage import Entry, encode, open_store
    >>> store = open_store("memory://prune-example")
    >>> store.write(Entry(("0f" * 16,), "result", "select", 1.5, {}, encode(42)))
    True
    >>> prune(store, older_than=0).entries
    1
    """
    for name, number in (("max_size", max_size), ("older_than", older_than), ("keep_last", keep_last)):
        if number is not None and number < 0:
            raise ValueError(f"{name}={number!r}: takes a number that is not negative")
    table = _Table(store, step)
    doomed = table.choose(max_size, older_than, keep_last)
    report = table.report(doomed)
    report.dry_run = dry_run
    if not dry_run:
        store.delete(table.key(row) for row in doomed)
    report.orphans, report.orphan_nbytes = store.collect(grace, dry_run=dry_run)
    return report


def pin(store: Store, keys: Iterable[str], pinned: bool = True) -> None:
    """Protect entries from :func:`prune`, or with ``pinned=False`` stop doing so."""
    store.pin(keys, pinned)


class _Table:
    """What is to be known of each entry, in a few bytes each: a store may have millions."""

    def __init__(self, store: Store, step: str | None) -> None:
        self.keys = bytearray()
        self.used, self.seconds, self.nbytes = array("d"), array("d"), array("q")
        self.names, self.name_numbers = array("l"), dict[str, int]()
        self.blobs: dict[int, bytes] = {}  # row -> digest, for results that may be shared
        self.sharers: Counter[bytes] = Counter()
        self.total = 0
        pinned = store.pins()
        for info in store.scan():
            self._count(info)
            if info.key not in pinned and (step is None or fnmatchcase(info.name, step)):
                self._add(info)

    def _count(self, info: EntryInfo) -> None:
        if info.payload is None:
            digest = bytes.fromhex(info.digest)
            self.sharers[digest] += 1
            self.total += info.nbytes if self.sharers[digest] == 1 else 0
        else:
            self.total += info.nbytes
        self.total += DESCRIPTION

    def _add(self, info: EntryInfo) -> None:
        if info.payload is None:
            self.blobs[len(self.used)] = bytes.fromhex(info.digest)
        self.keys += bytes.fromhex(info.key)
        self.used.append(info.last_used or info.created)
        self.seconds.append(info.seconds)
        self.nbytes.append(info.nbytes)
        self.names.append(self.name_numbers.setdefault(info.name, len(self.name_numbers)))

    def key(self, row: int) -> str:
        return self.keys[16 * row : 16 * row + 16].hex()

    def choose(self, max_size: int | None, older_than: float | None, keep_last: int | None) -> list[int]:
        """The rows that go."""
        order = sorted(range(len(self.used)), key=self._worth)
        protected = self._last_of_each_step(order, keep_last)
        before = time.time() - older_than if older_than is not None else None
        everything_else = keep_last is not None and max_size is None and older_than is None
        doomed: list[int] = []
        rest: list[int] = []
        for row in order:
            old = everything_else or (before is not None and self.used[row] <= before)
            (doomed if old and row not in protected else rest).append(row)
        if max_size is not None:
            left = self.total - sum(self._freed(row) for row in doomed)
            for row in rest:
                if left <= max_size:
                    break
                if row not in protected:
                    doomed.append(row)
                    left -= self._freed(row)
        return doomed

    def _worth(self, row: int) -> tuple[float, float]:
        return self.used[row] // HOUR, self.seconds[row] / (self.nbytes[row] + DESCRIPTION)

    def _last_of_each_step(self, order: list[int], keep_last: int | None) -> set[int]:
        if not keep_last:
            return set()
        kept: Counter[int] = Counter()
        protected = set()
        for row in sorted(order, key=lambda row: self.used[row], reverse=True):
            kept[self.names[row]] += 1
            if kept[self.names[row]] <= keep_last:
                protected.add(row)
        return protected

    def _freed(self, row: int) -> int:
        """The bytes that removing a row frees, after those asked about before; a shared blob goes with its last."""
        digest = self.blobs.get(row)
        if digest is None:
            return self.nbytes[row] + DESCRIPTION
        self.sharers[digest] -= 1
        return DESCRIPTION + (self.nbytes[row] if self.sharers[digest] == 0 else 0)

    def report(self, doomed: list[int]) -> PruneReport:
        names = list(self.name_numbers)
        nbytes = sum(self.nbytes[row] + DESCRIPTION for row in doomed)
        return PruneReport(
            entries=len(doomed),
            nbytes=nbytes,
            seconds=sum(self.seconds[row] for row in doomed),
            kept_entries=len(self.used) - len(doomed),
            kept_nbytes=max(0, self.total - nbytes),
            steps=dict(Counter(names[self.names[row]] for row in doomed)),
        )
