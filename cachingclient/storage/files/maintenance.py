"""Looking after the entries in a folder: listing, removing, pinning, checking."""

from __future__ import annotations

import logging
import time
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

import numpy as np
import xxhash

from cachingclient.storage.columns import Outline
from cachingclient.storage.entry import DamagedEntryError, outline, unpack
from cachingclient.storage.files.access_log import AccessLog
from cachingclient.storage.files.blobs import Digests, distinct, free_of, named_by_outlines, remove_blobs
from cachingclient.storage.files.folder import Folder, Unread
from cachingclient.storage.files.inventory import Inventory
from cachingclient.storage.files.layout import (
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
    pin_name,
    step_name,
)
from cachingclient.storage.files.local import LocalFolder
from cachingclient.storage.files.sparse import split_sparse
from cachingclient.storage.model import EntryInfo, Problem, StoreError
from cachingclient.storage.names import is_name
from cachingclient.warn_once import warn_user

logger = logging.getLogger("cachingclient")

BATCH = 1000
USES_KEPT = 90 * 86400.0  # seconds after which a recorded use says no more than that it was long ago


class Maintenance:
    """Lists, removes, pins and checks the entries of one folder; a store of files owns one.

    Parameters
    ----------
    folder
        Where the files are.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._accesses = AccessLog(folder)
        self._inventory = Inventory(folder, self._described) if isinstance(folder, LocalFolder) else None

    def numbers(self, keys: Iterable[str]) -> Mapping[str, int]:
        """The numbers of the files that were just written under these keys; nothing where that tells nothing."""
        return {} if self._inventory is None else self._inventory.numbers(keys)

    def note_written(self, info: EntryInfo, numbers: Mapping[str, int]) -> None:
        """Note a description that was just written under these keys, into files with these numbers."""
        if self._inventory is not None:
            self._inventory.record(info, numbers)

    def note_used(self, keys: Iterable[str]) -> None:
        """Note that entries were used now: as the time of their files where that is cheap, else in the access log."""
        keys = list(keys)
        if not self.folder.touch([step_name(key) for key in keys]):
            self._accesses.record(keys)

    def flush(self) -> None:
        """Write the notes on written entries to the inventory."""
        if self._inventory is not None:
            self._inventory.file()

    def close(self) -> None:
        """Write all notes."""
        self._accesses.write()
        self.flush()

    def delete(self, keys: Iterable[str]) -> int:
        """Remove entries, and the blobs that no other entry refers to. Returns the bytes freed."""
        if self.folder.read_only:
            return 0
        blobs = bytearray()
        freed = 0
        doomed = iter(keys)
        while batch := list(islice(doomed, BATCH)):
            freed += self._delete_descriptions(batch, blobs)
        return freed + self._delete_blobs(distinct(blobs))

    def evict(self, used: Iterable[tuple[str, float]]) -> int:
        """Remove entries, but for those that are pinned or were used since the time beside their key."""
        return 0 if self.folder.read_only else self.delete(self._unused(used))

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

    def _delete_blobs(self, digests: Digests) -> int:
        """Remove those of these blobs that no description refers to. Returns the bytes freed."""
        unused = digests[free_of(digests, named_by_outlines(self.survey(times=False)))]
        return remove_blobs(self.folder, unused, self._descriptions())  # the inventory may be wrong, these are not

    def scan(self) -> Iterator[EntryInfo]:
        """Every entry once, under its own key where that is there, without payloads."""
        used = self._accesses.read()
        for batch in self._batches():
            for info in self._own(self._described(batch)):
                last = max((used.get(key, 0.0) for key in info.keys), default=0.0) if used else 0.0
                yield replace(info, last_used=last) if last > info.last_used else info

    def survey(self, *, times: bool = True) -> Iterator[Outline]:
        """Every entry as a row of columns; from the inventory where the folder is local."""
        return Outline.batches(self.scan()) if self._inventory is None else self._inventory.survey(times)

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
        """The entries that were used last, the last first; for folders where a file's time is that of its last use."""
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
        """Protect entries from eviction, or stop doing so."""
        names = [pin_name(key) for key in keys]
        if not pinned:
            self.folder.remove(names)
            return
        for name in names:
            self.folder.put([name], [memoryview(b"pinned")])

    def pins(self) -> set[str]:
        """The keys that are pinned."""
        names = (status.name.rpartition("/")[2] for status in self.folder.walk(PINS))
        return {name for name in names if is_name(name)}

    def collect(self, grace: float, *, dry_run: bool = False) -> tuple[int, int]:
        """Remove old blobs without a description, abandoned temporary files and long quarantined ones."""
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
        if not dry_run and not self.folder.read_only:
            self.folder.remove([s.name for s in stray])
            remove_blobs(self.folder, blobs[free], self._descriptions())
            if isinstance(self.folder, LocalFolder):
                split_sparse(self.folder)
        return count, nbytes

    def check(self, *, repair: bool = False) -> Iterator[Problem | None]:
        """Read every entry in full: None for a sound one, else its problem."""
        repair = repair and not self.folder.read_only
        for status in self.folder.walk(STEPS):
            try:
                what, mends = self._problem(status.name), repair
            except PermissionError as error:  # it may be whole: it stays where it is
                what, mends = f"it may not be read: {error.strerror or error}", False
            if what and mends:
                self.quarantine(status.name, None, told=True)
            yield Problem(status.name, what, mends) if what else None

    def damaged(self) -> Iterator[Problem]:
        """The files that should be descriptions and are none."""
        names = (s.name for s in self.folder.walk(STEPS)) if self._inventory is None else self._inventory.unread()
        files = (name for name in names if is_name(name.rpartition("/")[2]))
        while batch := list(islice(files, BATCH)):
            for name, data in self.folder.fetch(batch).items():
                if isinstance(data, Unread):
                    continue
                try:
                    outline(name.rpartition("/")[2], data)
                except DamagedEntryError as error:
                    yield Problem(name, str(error))

    def remove_damaged(self) -> int:
        """Remove the files that should be descriptions and are none; how many."""
        names = [] if self.folder.read_only else [problem.name for problem in self.damaged()]
        self.folder.remove(names)
        return len(names) - len(self.folder.stat(names))

    def _problem(self, name: str) -> str:
        """The fault of the entry under this name; empty for a sound one. Raises PermissionError where it is unknown."""
        try:
            data = self.folder.fetch([name]).get(name, b"")
            if isinstance(data, Unread):
                raise PermissionError(data.why)
            info = unpack(name.rpartition("/")[2], data)
            if info is None or info.payload is not None:
                return ""
            frame = self.folder.open(blob_name(info.digest), info.nbytes)
        except DamagedEntryError as error:
            return str(error)
        except PermissionError:
            raise
        except OSError as error:
            return f"its blob can't be read: {error.strerror or error}"
        sound = frame.nbytes == info.nbytes and xxhash.xxh3_128_hexdigest(frame) == info.digest
        return "" if sound else "its blob's bytes are not those that were written"

    def totals(self) -> dict[str, tuple[int, int]]:
        """How many files and bytes there are of each sort."""
        sorts = {"entries": STEPS, "blobs": BLOBS, "pinned": PINS, "quarantined": QUARANTINE, "temporary": TEMPORARY}
        sorts["inventory"] = INVENTORY
        return {sort: self.folder.total(prefix) for sort, prefix in sorts.items()}

    def quarantine(self, name: str, warning: str | None, *, told: bool = False) -> None:
        """Move a damaged file of our own out of the way, so that it is reported once.

        What lies where others may write is left where it is, unless we are told to mend the store: it may be theirs,
        or not what it says it is. Writing the entry again replaces it.
        """
        if warning:
            warn_user(f"a damaged entry in {self.folder.url} is not used: {warning}")
        if self.folder.read_only or not (told or self.folder.private):
            return
        try:
            self.folder.move(name, f"{QUARANTINE}/{name.rpartition('/')[2]}")
        except (OSError, StoreError) as error:
            logger.debug("%s could not be moved to quarantine: %s", name, error)
