"""The pack that is growing in one process, before it is sent on."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import xxhash

from cachingclient.storage.entry import describe, pack, unpack
from cachingclient.storage.model import Entry, EntryInfo, Frame, StoreError
from cachingclient.storage.rucio.pack_format import Record, padding, write_index

INLINE_IN_INDEX = 1024  # indices are fetched whole, so only the smallest results travel in them


class PackWriter:
    """The pack that is growing in this process, and the records of its index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records: list[Record] = []
        self.nbytes = 0
        self.name = f"gathering-{os.getpid()}-{os.urandom(8).hex()}"

    def take(self, entry: Entry) -> EntryInfo:
        """Append an entry's payload; returns its description, which says where it lies."""
        encoded = entry.encoded
        if encoded.nbytes <= INLINE_IN_INDEX:
            payload = b"".join(encoded.frames)
            digest = xxhash.xxh3_128_hexdigest(payload)
            info = describe(entry, payload)
        else:
            start, digest = self._append(encoded.frames)
            info = describe(replace(entry, details={**entry.details, "place": [self.name, start]}), None)
        if digest != encoded.digest:
            raise StoreError(
                f"the result of {entry.name} was changed by a later step before it was written, so it is not kept"
            )
        return info

    def _append(self, frames: Iterable[Frame]) -> tuple[int, str]:
        state = xxhash.xxh3_128()
        try:
            with os.fdopen(os.open(self.folder / self.name, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                file.seek(self.nbytes)  # not the end: a write that failed may have left a part there
                file.write(padding(self.nbytes))
                start = position = self.nbytes + len(padding(self.nbytes))
                for frame in frames:
                    file.write(frame)
                    state.update(frame)
                    position += frame.nbytes
        except OSError as error:
            raise StoreError(f"{self.folder} can't be written: {error.strerror or error}") from error
        self.nbytes = position
        return start, state.hexdigest()

    def frame(self, name: str, offset: int, nbytes: int) -> Frame | None:
        """A payload that is still being gathered here."""
        return mapped(self.folder / name, offset, nbytes) if name == self.name and self.nbytes else None

    @contextmanager
    def finished(self, after: str, sent: Mapping[str, str]) -> Iterator[list[Path]]:
        """Pack and index under their names, the index last; they go again if they can't be sent.

        Records may also name the packs that were `sent` before, by the names that these had while they grew.

        Names tell the order of indices. So that a clock which is behind does not undo a deletion, the time in
        them is later than that in the name of the last one that is known.
        """
        known = after.split(".")[1] if after else "0"
        stamp = f"{max(int(time.time() * 1000), int(known) + 1):013}"
        paths: list[Path] = []
        try:
            self._name_files(stamp, paths, sent)
            yield paths
        except BaseException as error:
            for path in paths:
                path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise StoreError(f"{self.folder} can't be written: {error.strerror or error}") from error
            raise

    def _name_files(self, stamp: str, paths: list[Path], sent: Mapping[str, str]) -> None:
        names = dict(sent)
        if self.nbytes:
            growing = self.folder / self.name
            os.truncate(growing, self.nbytes)
            digest = xxhash.xxh3_128_hexdigest(mapped(growing, 0, self.nbytes))
            path = self.folder / f"cachingclient.{stamp}.{digest}.pack"
            os.link(growing, path)  # found infos still name the growing one
            paths.append(path)
            names[self.name] = path.name
        data = write_index(_placed(record, names) for record in self.records)
        paths.append(self.folder / f"cachingclient.{stamp}.{xxhash.xxh3_128_hexdigest(data)}.idx")
        paths[-1].write_bytes(data)


def _placed(record: Record, names: Mapping[str, str]) -> Record:
    """The same record, with its pack's final name."""
    info = unpack(record.key, record.description) if record.description else None
    place = info.details.get("place") if info else None
    if info is None or not place or place[0] not in names:
        return record
    final = [names[place[0]], place[1]]
    return replace(record, description=pack(replace(info, details={**info.details, "place": final})))


def mapped(path: Path, offset: int, nbytes: int) -> Frame:
    """Part of a file as private, writable memory."""
    with path.open("rb") as file:
        page = offset - offset % mmap.ALLOCATIONGRANULARITY
        memory = mmap.mmap(file.fileno(), offset + nbytes - page, access=mmap.ACCESS_COPY, offset=page)
    return memoryview(memory)[offset - page : offset - page + nbytes]
