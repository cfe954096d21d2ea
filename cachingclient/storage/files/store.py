"""A store of files: descriptions filed by key, blobs by digest, in any :class:`Folder` (``layout.py`` says where).

A blob is written before the description that names it, and looked for once more afterwards: ``blobs.py`` says why.
This module reads and writes entries; ``maintenance.py`` lists, removes, pins and checks them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import xxhash

from cachingclient.storage.base import Store
from cachingclient.storage.columns import Outline
from cachingclient.storage.entry import INLINE, DamagedEntryError, describe, described_bytes, pack, unpack
from cachingclient.storage.files.folder import ChangedError, Folder, Unread
from cachingclient.storage.files.layout import blob_name, step_name
from cachingclient.storage.files.leases import claim
from cachingclient.storage.files.maintenance import Maintenance
from cachingclient.storage.files.together import Small, in_packs, small_alias, small_entry
from cachingclient.storage.limits import limits
from cachingclient.storage.model import Entry, EntryInfo, EntryLost, Frame, Lease, Problem, StoreError, under
from cachingclient.units import plain
from cachingclient.warn_once import warn_user

REMEDY = "Open it with trust: all if you would run the code of all these people, or have its entries signed"
TIMES_READ = 16  # what JSON takes once it is read, over its bytes
VERIFY = ("always", "first", "never")


class FileSystemStore(Store):
    """Entries as files in a folder, local or behind fsspec.

    Parameters
    ----------
    folder
        Where the files are.
    verify
        When a blob's digest is checked: at every read (``"always"``), at the first read in this process
        (``"first"``), or ``"never"``.
    trust
        Which entries are believed: ``"all"``, ``"data"``, or ``"signed"``, where a store before this one looks at the
        signatures. None believes all where nobody else can write, and else data.

    Notes
    -----
    Limits of a store of files: entries written just before a power cut may be torn, and their steps are then run again;
    on object stores, an entry that is written while its equal is being purged may be lost in the same way.

    Examples
    --------
    >>> from cachingclient.storage import encode, open_store
    >>> store = open_store("memory://docs")
    >>> key = "0f" * 16
    >>> store.write(Entry((key,), "result", "answer", 1.5, {}, encode(42)))
    True
    >>> store.read(store.find([key])[key])
    42
    """

    def __init__(
        self,
        folder: Folder,
        *,
        verify: str = "first",
        trust: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if verify not in VERIFY:
            raise ValueError(f"verify={verify!r}: takes one of {', '.join(map(repr, VERIFY))}")
        self.folder = folder
        self._maintenance = Maintenance(folder)
        self.url = folder.url
        self.options = dict(options or {})
        self.latency, self.bandwidth = folder.latency, folder.bandwidth
        self.trust = trust or ("all" if folder.private else "data")
        self.private = folder.private
        folder.guarded = trust is None
        folder.memory_map = folder.memory_map and self.trust == "all"
        self._told_of_pickles = self._told_of_unread = False
        self._verify = "never" if trust == "signed" else verify  # the store before this one looks at every byte
        self._verified: set[str] = set()

    @property
    def read_only(self) -> bool:  # type: ignore[override]
        return self.folder.read_only

    def find(self, keys: Iterable[str]) -> dict[str, EntryInfo]:
        names = {step_name(key): key for key in keys}
        found = {}
        left = sys.maxsize if self.private else limits().nbytes // TIMES_READ
        fetched = self.folder.fetch(list(names))
        for name in sorted(fetched, key=lambda name: len(fetched[name])):  # what is huge costs no other its place
            data = fetched[name]
            if isinstance(data, Unread):
                self._tell_of_unread(name, data)
                continue
            left -= max(0, described_bytes(data))
            try:
                if left < 0:
                    raise DamagedEntryError(f"it and those beside it take more than {limits().nbytes:,} bytes")
                info = unpack(names[name], data)
            except DamagedEntryError as error:
                self._maintenance.quarantine(name, f"the description of entry {names[name]}: {error}")
                continue
            if info is not None and self._believes(info):
                found[info.key] = info
            elif info is not None:
                self._tell_of(info)
        return self._with_their_blobs(found) if found and self.folder.checks_are_cheap else found

    def _tell_of(self, info: EntryInfo) -> None:
        """Say once that there are entries that are not read for what they are."""
        if "pickle" in info.details["codecs"] and not self._told_of_pickles:
            self._told_of_pickles = True
            warn_user(
                f"results in {self.url} that hold pickles, such as that of {plain(info.name)}, are not loaded: "
                f"whoever can write there could run code as you. {REMEDY}"
            )

    def _tell_of_unread(self, name: str, unread: Unread) -> None:
        """Say once that there are entries that may not be read; they stay, and count as not there."""
        if not self._told_of_unread:
            self._told_of_unread = True
            warn_user(f"an entry in {self.url} may not be read, so its step runs again: {unread.why}: {name}")

    def _with_their_blobs(self, found: dict[str, EntryInfo]) -> dict[str, EntryInfo]:
        """Drop entries whose blob is not there in full. Their descriptions stay: a remover may be putting it back."""
        names = {blob_name(info.digest): info.nbytes for info in found.values() if info.payload is None}
        stats = self.folder.stat(list(names))
        bad = {name for name, nbytes in names.items() if name not in stats or stats[name].nbytes != nbytes}
        for name in sorted(bad & stats.keys()):
            self._maintenance.quarantine(name, "a blob was cut short")
        return {k: info for k, info in found.items() if info.payload is not None or blob_name(info.digest) not in bad}

    def payload(self, info: EntryInfo) -> bytes | Frame:
        if info.payload is not None:
            return info.payload  # guarded by the digest of its description
        name = blob_name(info.digest)
        try:
            frame = self.folder.open(name, info.nbytes)
        except FileNotFoundError:
            raise EntryLost(info.key, "its blob is missing") from None
        except OSError as error:
            raise EntryLost(info.key, f"its blob can't be read: {error}") from error
        fresh = self._verify == "always" or (self._verify == "first" and not self._is_known(info.digest))
        if frame.nbytes != info.nbytes or (fresh and xxhash.xxh3_128_hexdigest(frame) != info.digest):
            self._maintenance.quarantine(name, None)
            raise EntryLost(info.key, "its bytes are not those that were written")
        self._verified.add(info.digest)
        return frame

    def _is_known(self, digest: str) -> bool:
        """Whether these bytes were verified before, and nobody else can have changed them since."""
        return self.folder.private and digest in self._verified

    def write(self, entry: Entry, *, overwrite: bool = False) -> bool:
        return not self.read_only and self.folder.together(lambda: self._write(entry, overwrite))

    def _write(self, entry: Entry, overwrite: bool) -> bool:
        encoded = entry.encoded
        if not overwrite:
            name = step_name(entry.keys[0])
            there = self.folder.fetch([name]).get(name)
            if there is not None:
                if self._is_whole(name, there):
                    return False
                overwrite = True
        try:
            if encoded.nbytes <= INLINE:
                payload = b"".join(encoded.frames)
                if xxhash.xxh3_128_hexdigest(payload) != encoded.digest:
                    raise ChangedError
                return self._describe(describe(entry, payload), entry.keys, overwrite)
            return self._write_with_blob(entry, overwrite)
        except ChangedError:
            raise StoreError(
                f"the result of {entry.name} was changed by a later step before it was written, so it is not kept"
            ) from None

    @property
    def packs(self) -> bool:  # type: ignore[override]
        return self.folder.packs and not self.read_only

    def write_together(self, entries: Sequence[Entry]) -> list[bool]:
        return self._file_together(small_entry(entry) if self.packs else None for entry in entries)

    def alias_together(self, entries: Sequence[tuple[EntryInfo, str]]) -> list[bool]:
        return self._file_together(small_alias(info, key) if self.packs else None for info, key in entries)

    def _file_together(self, found: Iterable[Small | None]) -> list[bool]:
        """File small descriptions in packs; of each, whether it is there now under its first key."""
        small = list(found)
        filed: set[int] = set()
        for batch in in_packs(small):
            numbers = self.folder.put_together([(tuple(map(step_name, each.keys)), each.data) for each in batch])
            for each in batch:
                own = {key: numbers[name] for key in each.keys if (name := step_name(key)) in numbers}
                self._maintenance.note_written(each.info, own)
                if each.keys[0] in own:
                    filed.add(id(each))
        return [id(each) in filed for each in small]

    def _is_whole(self, name: str, data: bytes) -> bool:
        """Whether a description that is already there leads to a result: one that is damaged is written anew."""
        try:
            info = unpack(name.rpartition("/")[2], data)
        except DamagedEntryError:
            return False
        if info is None or info.payload is not None or not self._believes(info):
            return info is not None and self._believes(info)
        return self._has_blob(info.digest, info.nbytes, read=True)

    def _write_with_blob(self, entry: Entry, overwrite: bool) -> bool:
        encoded = entry.encoded
        blob = blob_name(encoded.digest)
        # Object stores keep the bytes that they took; a local disk is read again, which is cheaper than writing.
        if not self._has_blob(encoded.digest, encoded.nbytes, read=overwrite or self.folder.checks_are_cheap):
            self.folder.put([blob], encoded.frames, digest=encoded.digest, overwrite=True)
        written = self._describe(describe(entry, None), entry.keys, overwrite)
        if blob not in self.folder.stat([blob]):  # a purge took it before our description was there to hold it
            self.folder.put([blob], encoded.frames, digest=encoded.digest, overwrite=True)
        return written

    def _describe(self, info: EntryInfo, keys: tuple[str, ...], overwrite: bool) -> bool:
        """File a description under these keys."""
        names = [step_name(key) for key in keys]
        written = self.folder.put(names, [memoryview(pack(info))], overwrite=overwrite)
        if written:
            self._maintenance.note_written(info, self._maintenance.numbers(keys))
        return written

    def _has_blob(self, digest: str, nbytes: int, *, read: bool) -> bool:
        """Whether a blob is there, whole; one that is damaged, which only reading it tells, would be of no use."""
        name = blob_name(digest)
        there = self.folder.stat([name]).get(name)
        if there is None or there.nbytes != nbytes:
            return False
        return not read or self._digest_of(name, nbytes) == digest

    def _digest_of(self, name: str, nbytes: int) -> str:
        try:
            return xxhash.xxh3_128_hexdigest(self.folder.open(name, nbytes))
        except OSError:
            return ""

    def _believes(self, info: EntryInfo) -> bool:
        """Whether an entry may be read here: in a store that holds data only, it has no pickle and is not too large."""
        return not self.data_only or ("pickle" not in info.details["codecs"] and info.nbytes <= limits().nbytes)

    def alias(self, info: EntryInfo, keys: Iterable[str], *, overwrite: bool = False) -> int:
        return 0 if self.read_only else self.folder.together(lambda: self._alias(info, keys, overwrite))

    def _alias(self, info: EntryInfo, keys: Iterable[str], overwrite: bool) -> int:
        names = {step_name(key): key for key in keys}
        new = names.keys() if overwrite else names.keys() - self.folder.stat(list(names)).keys()
        others = (under(names[name], info) for name in sorted(new))
        return sum(self._describe(other, (other.key,), overwrite) for other in others)

    def lease(self, key: str, seconds: float) -> Lease | None:
        return Lease() if self.read_only else claim(self.folder, key, seconds)

    def touch(self, keys: Iterable[str]) -> None:
        if not self.read_only:
            self._maintenance.note_used(keys)

    def delete(self, keys: Iterable[str]) -> int:
        return self._maintenance.delete(keys)

    def evict(self, used: Iterable[tuple[str, float]]) -> int:
        return self._maintenance.evict(used)

    def scan(self) -> Iterator[EntryInfo]:
        return self._maintenance.scan()

    def survey(self, *, times: bool = True) -> Iterator[Outline]:
        return self._maintenance.survey(times=times)

    def recent(self, limit: int) -> list[EntryInfo]:
        return self._maintenance.recent(limit) if self.folder.checks_are_cheap else super().recent(limit)

    def pin(self, keys: Iterable[str], pinned: bool = True) -> None:
        self._maintenance.pin(keys, pinned)

    def pins(self) -> set[str]:
        return self._maintenance.pins()

    def collect(self, grace: float, *, dry_run: bool = False) -> tuple[int, int]:
        return self._maintenance.collect(grace, dry_run=dry_run)

    def check(self, *, repair: bool = False) -> Iterator[Problem | None]:
        return self._maintenance.check(repair=repair)

    def damaged(self) -> Iterator[Problem]:
        return self._maintenance.damaged()

    def remove_damaged(self) -> int:
        return self._maintenance.remove_damaged()

    def totals(self) -> dict[str, tuple[int, int]]:
        return self._maintenance.totals()

    def flush(self) -> None:
        if not self.read_only:
            self._maintenance.flush()

    def close(self) -> None:
        if not self.read_only:
            self._maintenance.close()
        self.folder.close()
