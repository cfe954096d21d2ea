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
from typing import Any

import numpy as np
import numpy.typing as npt

from cachingclient.storage.base import Store
from cachingclient.storage.columns import Outline, texts

DESCRIPTION = 1024  # bytes that an entry takes besides its result, about
HOUR = 3600.0
COLUMNS = np.dtype(
    [
        ("key", "V16"),
        ("digest", "V16"),
        ("nbytes", "i8"),
        ("seconds", "f8"),
        ("used", "f8"),
        ("name", "i8"),
        ("inline", "?"),
    ]
)
GRACE = 3600.0  # seconds for which files without an entry are left, as one may be on its way


@dataclass(slots=True)
class PruneReport:
    """The entries that a pruning removed, or would remove."""

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
        Remove entries that were not used for this many seconds.
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
        store.evict((table.key(row), table.used[row]) for row in doomed)
    report.orphans, report.orphan_nbytes = store.collect(grace, dry_run=dry_run)
    return report


def pin(store: Store, keys: Iterable[str], pinned: bool = True) -> None:
    """Protect entries from :func:`prune`, or with ``pinned=False`` stop doing so."""
    store.pin(keys, pinned)


class _Table:
    """The columns by which entries are chosen, in about a hundred bytes an entry: a store may have millions."""

    def __init__(self, store: Store, step: str | None) -> None:
        self.name_numbers: dict[str, int] = {}
        pinned = np.array([bytes.fromhex(key) for key in store.pins()], "S16")
        entries = np.concatenate([np.empty(0, COLUMNS), *(self._columns(each) for each in store.survey())])
        shared = ~entries["inline"]
        _, first, numbers, sharers = np.unique(
            texts(entries["digest"][shared]), return_index=True, return_inverse=True, return_counts=True
        )
        self.count = len(entries)
        blobs = np.full(len(entries), -1)
        blobs[shared] = numbers
        sizes = entries["nbytes"]
        self.total = int(sizes[~shared].sum() + sizes[shared][first].sum() + DESCRIPTION * len(entries))
        self.sharers = sharers.tolist()
        meant = np.array([step is None or fnmatchcase(name, step) for name in self.name_numbers], bool)
        free = meant[entries["name"]] & ~np.isin(texts(entries["key"]), pinned)
        entries = entries[free]
        self.keys = entries["key"].tobytes()
        self.used, self.seconds = (array("d", entries[name].tobytes()) for name in ("used", "seconds"))
        self.nbytes, self.names, self.blobs = (
            array("q", column.tobytes()) for column in (entries["nbytes"], entries["name"], blobs[free])
        )

    def _columns(self, outline: Outline) -> npt.NDArray[Any]:
        rows, sorts = outline
        columns = np.empty(len(rows), COLUMNS)
        for name in ("key", "digest", "nbytes", "seconds", "inline"):
            columns[name] = rows[name]
        columns["used"] = np.where(rows["used"] > 0, rows["used"], rows["created"])
        numbers = [self.name_numbers.setdefault(name, len(self.name_numbers)) for _, name, _ in sorts]
        columns["name"] = np.array(numbers, "i8")[rows["sort"]]
        return columns

    def key(self, row: int) -> str:
        return self.keys[16 * row : 16 * row + 16].hex()

    def choose(self, max_size: int | None, older_than: float | None, keep_last: int | None) -> list[int]:
        """The rows that go."""
        order = np.lexsort(self._worth()).tolist()
        protected = self._last_of_each_step(order, keep_last)
        before = time.time() - older_than if older_than is not None else None
        everything_else = keep_last is not None and max_size is None and older_than is None
        doomed: list[int] = []
        rest: list[int] = []
        for row in order:
            old = everything_else or (before is not None and self.used[row] <= before)
            (doomed if old and row not in protected else rest).append(row)
        if max_size is not None:
            sharers = self.sharers[:]
            left = self.total - sum(self._freed(row, sharers) for row in doomed)
            for row in rest:
                if left <= max_size:
                    break
                if row not in protected:
                    doomed.append(row)
                    left -= self._freed(row, sharers)
        return doomed

    def _worth(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Of each row the seconds that it saves a byte, and, which counts for more, the hour of its last use."""
        used, seconds, nbytes = (np.asarray(column) for column in (self.used, self.seconds, self.nbytes))
        return seconds / (nbytes + DESCRIPTION), used // HOUR

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

    def _freed(self, row: int, sharers: list[int]) -> int:
        """The bytes that removing a row frees, after those asked about before; a shared blob goes with its last."""
        blob = self.blobs[row]
        if blob < 0:
            return self.nbytes[row] + DESCRIPTION
        sharers[blob] -= 1
        return DESCRIPTION + (self.nbytes[row] if sharers[blob] == 0 else 0)

    def report(self, doomed: list[int]) -> PruneReport:
        names = list(self.name_numbers)
        sharers = self.sharers[:]
        nbytes = sum(self._freed(row, sharers) for row in doomed)
        return PruneReport(
            entries=len(doomed),
            nbytes=nbytes,
            seconds=sum(self.seconds[row] for row in doomed),
            kept_entries=self.count - len(doomed),
            kept_nbytes=self.total - nbytes,
            steps=dict(Counter(names[self.names[row]] for row in doomed)),
        )
