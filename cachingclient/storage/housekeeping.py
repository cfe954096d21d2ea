"""Looking after a store of files: listing, removing, pinning, checking."""

from __future__ import annotations

import logging
import time
import warnings
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import xxhash

from cachingclient.storage.base import EntryInfo, Problem, Store, StoreError
from cachingclient.storage.blobs import Texts, distinct, free_of, named_by_outlines, remove_blobs
from cachingclient.storage.entry import DamagedEntryError, unpack
from cachingclient.storage.folder import Folder
from cachingclient.storage.layout import (
    BLOBS,
    INVENTORY,
    PINS,
    QUARANTINE,
    STEPS,
    TEMPORARY,
    USES,
    blob_digest,
    blob_name,
    described,
    step_name,
)
from cachingclient.storage.ledger import Ledger
from cachingclient.storage.local import LocalFolder
from cachingclient.storage.outline import Outline
from cachingclient.storage.uses import UseJournal

logger = logging.getLogger("cachingclient")

BATCH = 1000
USES_KEPT = 90 * 86400.0  # seconds after which a recorded use says no more than that it was long ago


class Housekeeping(Store):
    """What is done to the entries of a folder besides reading and writing them."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._uses = UseJournal(folder)
        self._ledger = Ledger(folder, self._described) if isinstance(folder, LocalFolder) else None

    def delete(self, keys: Iterable[str]) -> int:
        if self.read_only:
            return 0
        blobs = bytearray()
        freed = 0
        doomed = iter(keys)
        while batch := list(islice(doomed, BATCH)):
            freed += self._delete_descriptions(batch, blobs)
        return freed + self._delete_blobs(distinct(blobs))

    def evict(self, used: Iterable[tuple[str, float]]) -> int:
        return 0 if self.read_only else self.delete(self._unused(used))

    def _unused(self, used: Iterable[tuple[str, float]]) -> Iterator[str]:
        """Those that nobody has pinned or used meanwhile, looked at just before they go."""
        entries = iter(used)
        while batch := dict(islice(entries, BATCH)):
            pinned = self.pins()
            names = {step_name(key): key for key in batch if key not in pinned}
            if self.folder.checks_are_cheap:  # elsewhere a file's time is not that of its last use
                statuses = self.folder.stat(list(names)).values()
                yield from (names[s.name] for s in statuses if s.modified <= batch[names[s.name]])
            else:
                yield from names.values()

    def _delete_descriptions(self, keys: list[str], blobs: bytearray) -> int:
        names = [step_name(key) for key in keys]
        doomed = set(names)
        for name, data in self.folder.fetch(names).items():
            info = described(name, data)
            if info is not None:
                doomed.update(self._also_filed(info))
                if info.payload is None:
                    blobs += bytes.fromhex(info.digest)
        return self.folder.remove(sorted(doomed))

    def _also_filed(self, info: EntryInfo) -> list[str]:
        """The other names of the same description."""
        others = [step_name(key) for key in info.keys if key != info.key]
        same = []
        for name, data in self.folder.fetch(others).items():
            other = described(name, data)
            if other is not None and other.keys == info.keys:
                same.append(name)
        return same

    def _delete_blobs(self, digests: Texts) -> int:
        """Remove those of these blobs that no description refers to. Returns the bytes freed."""
        unused = digests[free_of(digests, named_by_outlines(self.survey(times=False)))]
        return remove_blobs(self.folder, unused, self._descriptions())  # the inventory may be wrong, these are not

    def scan(self) -> Iterator[EntryInfo]:
        used = self._uses.read()
        for batch in self._batches():
            for info in self._own(self._described(batch)):
                last = max((used.get(key, 0.0) for key in info.keys), default=0.0) if used else 0.0
                yield replace(info, last_used=last) if last > info.last_used else info

    def survey(self, *, times: bool = True) -> Iterator[Outline]:
        return super().survey() if self._ledger is None else self._ledger.survey(times)

    def _own(self, infos: Iterable[EntryInfo]) -> Iterator[EntryInfo]:
        """Entries under their own keys, and under another one where their own is gone."""
        others = {}
        for info in infos:
            if info.key == info.keys[0]:
                yield info
            else:
                others[step_name(info.keys[0])] = info
        there = self.folder.stat(list(others))
        yield from (info for name, info in others.items() if name not in there)

    def recent(self, limit: int) -> list[EntryInfo]:
        if not self.folder.checks_are_cheap:
            return super().recent(limit)
        wanted = 2 * limit + 2  # an entry may be there under two names
        while True:
            newest = self.folder.newest(STEPS, wanted)
            infos = list(self._own(self._described({s.name: s.modified for s in newest})))
            if len(infos) >= limit or len(newest) < wanted:
                return infos[:limit]
            wanted *= 4

    def _descriptions(self) -> Iterator[EntryInfo]:
        """Every description under every name, without payloads."""
        for batch in self._batches():
            yield from self._described(batch)

    def _batches(self) -> Iterator[dict[str, float]]:
        """The names of descriptions with their times, so many at once as are worth reading together."""
        batch: dict[str, float] = {}
        for status in self.folder.walk(STEPS):
            batch[status.name] = status.modified
            if len(batch) == BATCH:
                yield batch
                batch = {}
        yield batch

    def _described(self, batch: dict[str, float]) -> Iterator[EntryInfo]:
        for name, data in self.folder.fetch(list(batch)).items():
            info = described(name, data, last_used=batch[name])
            if info is not None:
                yield info

    def pin(self, keys: Iterable[str], pinned: bool = True) -> None:
        names = [f"{PINS}/{key}" for key in keys]
        if not pinned:
            self.folder.remove(names)
            return
        for name in names:
            self.folder.put([name], [memoryview(b"pinned")])

    def pins(self) -> set[str]:
        return {status.name.rpartition("/")[2] for status in self.folder.walk(PINS)}

    def collect(self, grace: float, *, dry_run: bool = False) -> tuple[int, int]:
        """Remove old blobs without a description, abandoned temporary files and what was quarantined long ago."""
        before = time.time() - grace
        stray = [s for part in (TEMPORARY, QUARANTINE) for s in self.folder.walk(part) if s.modified < before]
        stray += [s for s in self.folder.walk(USES) if s.modified < time.time() - USES_KEPT]
        digests, sizes = bytearray(), array("q")
        for status in self.folder.walk(BLOBS):
            if status.modified < before and (digest := blob_digest(status.name)):
                digests += bytes.fromhex(digest)
                sizes.append(status.nbytes)
        blobs, numbers = np.unique(np.frombuffer(digests, "S16"), return_index=True)
        free = free_of(blobs, named_by_outlines(self.survey(times=False)))
        count = len(stray) + int(free.sum())
        nbytes = sum(s.nbytes for s in stray) + int(np.frombuffer(sizes, "q")[numbers[free]].sum())
        if not dry_run and not self.read_only:
            self.folder.remove([s.name for s in stray])
            remove_blobs(self.folder, blobs[free], self._descriptions())
        return count, nbytes

    def check(self, *, repair: bool = False) -> Iterator[Problem | None]:
        repair = repair and not self.read_only
        for status in self.folder.walk(STEPS):
            what = self._problem(status.name)
            if what and repair:
                self._quarantine(status.name, None)
            yield Problem(status.name, what, repair) if what else None

    def _problem(self, name: str) -> str:
        """What is wrong with the entry under this name, or nothing."""
        try:
            info = unpack(name.rpartition("/")[2], self.folder.fetch([name]).get(name, b""))
            if info is None or info.payload is not None:
                return ""
            frame = self.folder.open(blob_name(info.digest), info.nbytes)
        except DamagedEntryError as error:
            return str(error)
        except OSError as error:
            return f"its blob can't be read: {error.strerror or error}"
        sound = frame.nbytes == info.nbytes and xxhash.xxh3_128_hexdigest(frame) == info.digest
        return "" if sound else "its blob's bytes are not those that were written"

    def totals(self) -> dict[str, tuple[int, int]]:
        sorts = {"entries": STEPS, "blobs": BLOBS, "pinned": PINS, "quarantined": QUARANTINE, "temporary": TEMPORARY}
        sorts["inventory"] = INVENTORY
        return {sort: self.folder.total(prefix) for sort, prefix in sorts.items()}

    def _quarantine(self, name: str, warning: str | None) -> None:
        """Move a damaged file out of the way, so that what it stood for can be written again."""
        if warning:
            warnings.warn(f"a damaged entry in {self.url} is not used: {warning}", stacklevel=4)
        if self.read_only:
            return
        try:
            self.folder.move(name, f"{QUARANTINE}/{name.rpartition('/')[2]}")
        except (OSError, StoreError) as error:
            logger.debug("%s could not be moved to quarantine: %s", name, error)
