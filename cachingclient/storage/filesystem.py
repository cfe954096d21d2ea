"""A store of files: descriptions filed by key, blobs by digest, in any :class:`Folder` (``layout.py`` says where).

A blob is written before the description that names it, and looked for once more afterwards: ``housekeeping.py``
says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import xxhash

from cachingclient.storage.base import Encoded, Entry, EntryInfo, EntryLost, Frame, Lease, StoreError
from cachingclient.storage.entry import INLINE, DamagedEntryError, describe, pack, unpack
from cachingclient.storage.folder import ChangedError, Folder
from cachingclient.storage.housekeeping import Housekeeping
from cachingclient.storage.layout import blob_name, step_name
from cachingclient.storage.leases import claim

VERIFY = ("always", "first", "never")


class FileSystemStore(Housekeeping):
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
        super().__init__(folder)
        self.url = folder.url
        self.options = dict(options or {})
        self.latency, self.bandwidth = folder.latency, folder.bandwidth
        self.data_only = data_only
        self._verify = verify
        self._verified: set[str] = set()

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
                return self._describe(describe(entry, payload), entry.keys, overwrite)
            return self._write_with_blob(entry, overwrite)
        except ChangedError:
            raise StoreError(
                f"the result of {entry.name} was changed by a later step before it was written, so it is not kept"
            ) from None

    def _is_whole(self, name: str, data: bytes) -> bool:
        """Whether a description that is already there leads to a result (as far as a look at the blob's size tells)."""
        try:
            info = unpack(name.rpartition("/")[2], data)
        except DamagedEntryError:
            return False
        if info is None or info.payload is not None:
            return info is not None
        blob = blob_name(info.digest)
        stats = self.folder.stat([blob])
        return blob in stats and stats[blob].nbytes == info.nbytes

    def _write_with_blob(self, entry: Entry, overwrite: bool) -> bool:
        encoded = entry.encoded
        blob = blob_name(encoded.digest)
        if not self._has_blob(encoded):
            self.folder.put([blob], encoded.frames, digest=encoded.digest, overwrite=True)
        written = self._describe(describe(entry, None), entry.keys, overwrite)
        if blob not in self.folder.stat([blob]):  # a purge took it before our description was there to hold it
            self.folder.put([blob], encoded.frames, digest=encoded.digest, overwrite=True)
        return written

    def _describe(self, info: EntryInfo, keys: tuple[str, ...], overwrite: bool) -> bool:
        """File a description under these keys."""
        names = [step_name(key) for key in keys]
        written = self.folder.put(names, [memoryview(pack(info))], overwrite=overwrite)
        if written and self._ledger is not None:
            self._ledger.record(info, keys)
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
        others = (replace(info, key=names[name], keys=(names[name],)) for name in sorted(new))
        return sum(self._describe(other, other.keys, overwrite=False) for other in others)

    def lease(self, key: str, seconds: float) -> Lease | None:
        return Lease() if self.read_only else claim(self.folder, key, seconds)

    def touch(self, keys: Iterable[str]) -> None:
        keys = list(keys)
        if not self.read_only and not self.folder.touch([step_name(key) for key in keys]):
            self._uses.record(keys)

    def flush(self) -> None:
        if self._ledger is not None and not self.read_only:
            self._ledger.file()

    def close(self) -> None:
        if not self.read_only:
            self._uses.write()
        self.flush()
        self.folder.close()
