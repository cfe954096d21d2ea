"""What this process has yet to send to Rucio: a pack and an index for each lifetime that its results have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from cachingclient.storage.entry import pack
from cachingclient.storage.model import Entry, EntryInfo, Frame
from cachingclient.storage.rucio.lifetimes import Lifetimes
from cachingclient.storage.rucio.pack_format import Flag, Record
from cachingclient.storage.rucio.pack_writer import PackWriter

Due = tuple[int, bool]
"""A lifetime, and whether it is for what overrules others."""
MOST_BYTES, MOST_ENTRIES = 256 << 20, 5000  # before all of it is sent


class Gathering:
    """The packs that are growing here, by lifetime.

    Where lifetimes vary, a record that removes or replaces an entry lives longest, and is sent last, with all later
    ones of its key: it must neither end before what it overrules, nor be read before it.

    Parameters
    ----------
    folder
        Where they grow.
    lifetimes
        Those that results can have.
    """

    def __init__(self, folder: Path, lifetimes: Lifetimes) -> None:
        self.folder = folder
        self.lifetimes = lifetimes
        self.sent: dict[str, str] = {}  # names of packs of this process: as they grew -> as sent
        self._writers: dict[Due, PackWriter] = {}
        self._overruled: set[str] = set()

    def take(self, entry: Entry, *, overwrite: bool) -> EntryInfo:
        """Append an entry's payload to the pack of its lifetime; returns its description."""
        if self.lifetimes.vary and (overwrite or not self._overruled.isdisjoint(entry.keys)):
            return self._writer(self.lifetimes.most, True).take(entry)
        lifetime = self.lifetimes.of(entry.kind, entry.seconds, entry.encoded.nbytes)
        return self._writer(lifetime).take(entry)

    def add(self, info: EntryInfo, key: str, flag: Flag) -> Record:
        """Gather a record, with the pack that it names if that is growing here."""
        record = Record(key, flag, b"" if flag is Flag.REMOVE else pack(info))
        if flag is not Flag.FIRST and self.lifetimes.vary:
            self._overruled.add(key)
        writer = self._writer(self.lifetimes.most, True) if key in self._overruled else self._writer_with(info)
        writer.records.append(record)
        return record

    def _writer_with(self, info: EntryInfo) -> PackWriter:
        place = info.details.get("place")
        if isinstance(place, list) and place:
            for writer in self._writers.values():
                if writer.name == place[0]:
                    return writer
        return self._writer(self.lifetimes.of(info.kind, info.seconds, info.nbytes))

    def _writer(self, lifetime: int, overrules: bool = False) -> PackWriter:
        if (lifetime, overrules) not in self._writers:
            self._writers[lifetime, overrules] = PackWriter(self.folder)
        return self._writers[lifetime, overrules]

    def _in_order(self) -> list[tuple[Due, PackWriter]]:
        return sorted(self._writers.items(), key=lambda item: (item[0][1], item[0][0]))

    def frame(self, name: str, offset: int, nbytes: int) -> Frame | None:
        """A payload that is still being gathered here."""
        found = (writer.frame(name, offset, nbytes) for writer in self._writers.values())
        return next((frame for frame in found if frame is not None), None)

    def records(self) -> Iterator[Record]:
        """All records that wait, in the order in which they will be read."""
        for _, writer in self._in_order():
            yield from writer.records

    @property
    def full(self) -> bool:
        """Whether it is time to send."""
        writers = self._writers.values()
        waiting = sum(len(writer.records) for writer in writers)
        return waiting >= MOST_ENTRIES or sum(writer.nbytes for writer in writers) >= MOST_BYTES

    def send(self, add: Callable[[list[Path], int, bool], None], known: Iterable[str]) -> Iterator[str]:
        """Have all that waits added to Rucio, and tell each index; what could not be sent waits on.

        Parameters
        ----------
        add
            Adds files, with their lifetime and whether they overrule others.
        known
            The names of the indices that are there.
        """
        after = max(known, default="")
        for due, writer in self._in_order():
            if not writer.records:
                continue
            with writer.finished(after, self.sent) as paths:
                add(paths, *due)
            if len(paths) > 1:
                self.sent[writer.name] = paths[0].name
            del self._writers[due]
            if due[1]:
                self._overruled.clear()
            after = paths[-1].name
            yield after
