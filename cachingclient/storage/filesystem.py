"""A store of files: descriptions filed by key, blobs by digest, in any :class:`Folder`.

::

    v1/steps/ab/<key>         descriptions, with the result inside when it is small
    v1/blobs/ab/<digest>      results
    v1/quarantine/<name>      what turned out damaged
    v1/tmp/                   files being written or removed
    v1/pins/<key>             entries that eviction leaves
    v1/leases/<key>           steps that someone is running
    v1/uses/                  which entries were used, where files have no times

A blob is written before the description that names it, and looked for once more afterwards: whoever removes blobs
takes one out of sight first and then looks again for descriptions, so that of a writer and a remover that meet, one
sees the other.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import xxhash

from cachingclient.storage.base import Encoded, Entry, EntryInfo, EntryLost, Frame, Lease, Problem, Store, StoreError
from cachingclient.storage.entry import INLINE, DamagedEntryError, describe, pack, unpack
from cachingclient.storage.folder import STEPS, ChangedError, Folder
from cachingclient.storage.leases import claim
from cachingclient.storage.uses import USES, UseJournal

logger = logging.getLogger("cachingclient")

BLOBS = "v1/blobs"
QUARANTINE = "v1/quarantine"
TEMPORARY = "v1/tmp"
PINS = "v1/pins"
USES_KEPT = 90 * 86400.0  # seconds after which a recorded use says no more than that it was long ago
VERIFY = ("always", "first", "never")
BATCH = 1000
HEX = frozenset("0123456789abcdef")


class FileSystemStore(Store):
    """Entries as files in a folder, local or behind fsspec.

    Parameters
    ----------
    folder
        Where the files are.
    verify
        When a blob's digest is checked: at every read (``"always"``), at the first read in this process
        (``"first"``), or ``"never"``.
    data_only
        Whether results that only pickle can give back count as missing.

    Notes
    -----
    What a store of files can't promise: entries written just before a power cut may be torn, and are then run again;
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
        data_only: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if verify not in VERIFY:
            raise ValueError(f"verify={verify!r}: takes one of {', '.join(map(repr, VERIFY))}")
        self.folder = folder
        self.url = folder.url
        self.options = dict(options or {})
        self.latency, self.bandwidth = folder.latency, folder.bandwidth
        self.data_only = data_only
        self._verify = verify
        self._verified: set[str] = set()
        self._uses = UseJournal(folder)

    @property
    def read_only(self) -> bool:  # type: ignore[override]
        return self.folder.read_only

    def find(self, keys: Iterable[str]) -> dict[str, EntryInfo]:
        names = {step_name(key): key for key in keys}
        found = {}
        for name, data in self.folder.fetch(list(names)).items():
            try:
                info = unpack(names[name], data)
            except DamagedEntryError as error:
                self._quarantine(name, f"the description of entry {names[name]}: {error}")
                continue
            if info is not None and not (self.data_only and "pickle" in info.details["codecs"]):
                found[info.key] = info
        return self._with_their_blobs(found) if self.folder.checks_are_cheap else found

    def _with_their_blobs(self, found: dict[str, EntryInfo]) -> dict[str, EntryInfo]:
        """Drop entries whose blob is not there in full. Their descriptions stay: a remover may be putting it back."""
        names = {blob_name(info.digest): info.nbytes for info in found.values() if info.payload is None}
        stats = self.folder.stat(list(names))
        bad = {name for name, nbytes in names.items() if name not in stats or stats[name].nbytes != nbytes}
        for name in bad & stats.keys():
            self._quarantine(name, "a blob was cut short")
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
        fresh = self._verify == "always" or (self._verify == "first" and info.digest not in self._verified)
        if frame.nbytes != info.nbytes or (fresh and xxhash.xxh3_128_hexdigest(frame) != info.digest):
            self._quarantine(name, None)
            raise EntryLost(info.key, "its bytes are not those that were written")
        self._verified.add(info.digest)
        return frame

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

    def write(self, entry: Entry, *, overwrite: bool = False) -> bool:
        if self.read_only:
            return False
        encoded = entry.encoded
        names = [step_name(key) for key in entry.keys]
        if not overwrite:
            there = self.folder.fetch(names[:1]).get(names[0])
            if there is not None:
                if self._is_whole(names[0], there):
                    return False
                overwrite = True
        try:
            if encoded.nbytes <= INLINE:
                payload = b"".join(encoded.frames)
                if xxhash.xxh3_128_hexdigest(payload) != encoded.digest:
                    raise ChangedError
                return self.folder.put(names, [memoryview(pack(describe(entry, payload)))], overwrite=overwrite)
            return self._write_with_blob(entry, names, overwrite)
        except ChangedError:
            raise StoreError(
                f"the result of {entry.name} was changed by a later step before it was written, so it is not kept"
            ) from None

    def _is_whole(self, name: str, data: bytes) -> bool:
        """Whether a description that is already there leads to a result (as far as a look at the blob's size tells)."""
        info = described(name, data)
        if info is None or info.payload is not None:
            return info is not None
        blob = blob_name(info.digest)
        stats = self.folder.stat([blob])
        return blob in stats and stats[blob].nbytes == info.nbytes

    def _write_with_blob(self, entry: Entry, names: list[str], overwrite: bool) -> bool:
        encoded = entry.encoded
        blob = blob_name(encoded.digest)
        if not self._has_blob(encoded):
            self.folder.put([blob], encoded.frames, digest=encoded.digest, overwrite=True)
        written = self.folder.put(names, [memoryview(pack(describe(entry, None)))], overwrite=overwrite)
        if blob not in self.folder.stat([blob]):  # a purge took it before our description was there to hold it
            self.folder.put([blob], encoded.frames, digest=encoded.digest, overwrite=True)
        return written

    def _has_blob(self, encoded: Encoded) -> bool:
        """Whether an equal result is already there, whole; one that is damaged would be of no use."""
        name = blob_name(encoded.digest)
        there = self.folder.stat([name]).get(name)
        if there is None or there.nbytes != encoded.nbytes:
            return False
        # Object stores keep what they took; a local disk is read again, which is cheaper than writing.
        return not self.folder.checks_are_cheap or self._digest_of(name) == encoded.digest

    def _digest_of(self, name: str) -> str:
        try:
            return xxhash.xxh3_128_hexdigest(self.folder.open(name))
        except OSError:
            return ""

    def alias(self, info: EntryInfo, keys: Iterable[str]) -> int:
        if self.read_only:
            return 0
        names = {step_name(key): key for key in keys}
        new = names.keys() - self.folder.stat(list(names)).keys()
        return sum(
            self.folder.put([name], [memoryview(pack(replace(info, key=names[name], keys=(names[name],))))])
            for name in sorted(new)
        )

    def lease(self, key: str, seconds: float) -> Lease | None:
        return Lease() if self.read_only else claim(self.folder, key, seconds)

    def delete(self, keys: Iterable[str]) -> int:
        if self.read_only:
            return 0
        blobs: set[str] = set()
        freed = 0
        batch: list[str] = []
        for key in keys:
            batch.append(key)
            if len(batch) == BATCH:
                freed += self._delete_descriptions(batch, blobs)
                batch = []
        freed += self._delete_descriptions(batch, blobs)
        return freed + self.delete_blobs(blobs)

    def _delete_descriptions(self, keys: list[str], blobs: set[str]) -> int:
        names = [step_name(key) for key in keys]
        doomed = set(names)
        for name, data in self.folder.fetch(names).items():
            info = described(name, data)
            if info is not None:
                doomed.update(self._also_filed(info))
                if info.payload is None:
                    blobs.add(info.digest)
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

    def delete_blobs(self, digests: set[str]) -> int:
        """Remove those of these blobs that no description refers to. Returns the bytes freed."""
        if not digests:
            return 0
        unused = digests - set(self._in_use(digests))
        hidden = {digest: f"{TEMPORARY}/removed-{digest}-{os.urandom(4).hex()}" for digest in unused}
        for digest, name in list(hidden.items()):
            try:
                self.folder.move(blob_name(digest), name)
            except OSError:
                del hidden[digest]
        for digest in set(self._in_use(set(hidden))):  # a writer counted on it meanwhile
            self.folder.move(hidden.pop(digest), blob_name(digest))
        return self.folder.remove(list(hidden.values()))

    def _in_use(self, digests: set[str]) -> Iterator[str]:
        if digests:
            for info in self._descriptions():
                if info.payload is None and info.digest in digests:
                    yield info.digest

    def scan(self) -> Iterator[EntryInfo]:
        used = self._uses.read()
        for batch in self._batches():
            for info in self._own(self._described(batch)):
                last = max((used.get(key, 0.0) for key in info.keys), default=0.0) if used else 0.0
                yield replace(info, last_used=last) if last > info.last_used else info

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
        blobs = {_digest(s.name): s for s in self.folder.walk(BLOBS) if s.modified < before}
        blobs.pop("", None)
        for digest in self._in_use(set(blobs)):
            blobs.pop(digest, None)
        count, nbytes = len(stray) + len(blobs), sum(s.nbytes for s in (*stray, *blobs.values()))
        if not dry_run and not self.read_only:
            self.folder.remove([s.name for s in stray])
            self.delete_blobs(set(blobs))
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
        return {sort: self.folder.total(prefix) for sort, prefix in sorts.items()}

    def touch(self, keys: Iterable[str]) -> None:
        keys = list(keys)
        if not self.read_only and not self.folder.touch([step_name(key) for key in keys]):
            self._uses.record(keys)

    def close(self) -> None:
        if not self.read_only:
            self._uses.write()
        self.folder.close()


def step_name(key: str) -> str:
    """Where the description for a key lies."""
    return f"{STEPS}/{key[:2]}/{key}"


def blob_name(digest: str) -> str:
    """Where the blob with a digest lies."""
    return f"{BLOBS}/{digest[:2]}/{digest}"


def _digest(name: str) -> str:
    """The digest that a blob is named by; nothing for a foreign file, which is left alone."""
    digest = name.rpartition("/")[2]
    return digest if len(digest) == 32 and set(digest) <= HEX else ""


def described(name: str, data: bytes, last_used: float = 0.0) -> EntryInfo | None:
    """Read a description for looking after it; None for foreign, damaged and newer files."""
    try:
        info = unpack(name.rpartition("/")[2], data)
    except DamagedEntryError:
        return None
    if info is None:
        return None
    return EntryInfo(
        info.key,
        info.kind,
        info.name,
        info.codec,
        info.digest,
        info.nbytes,
        info.created,
        info.seconds,
        info.details,
        None if info.payload is None else b"",
        info.keys,
        last_used,
    )
