"""The inventory of a local store: a row for each description, so that looking after the store does not read them all.

::

    v1/inventory/ab            the rows of the descriptions in v1/steps/ab
    v1/inventory/new-<number>  the rows that a writer added of late

Which entries exist is always asked of the file system, which names a million files in half a second. A row of the
inventory counts only for a file of its key and its inode; the description of any other file is read. So a row that is
missing, old or damaged costs a look at its file, and nothing is ever served from the inventory.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import xxhash

from cachingclient.forks.children import free_in_children
from cachingclient.storage.columns import ROW, Outline, Row, Sort, hexes, row
from cachingclient.storage.description import LATEST, MOST_BYTES, loads
from cachingclient.storage.files.layout import INVENTORY, STEPS, step_name
from cachingclient.storage.files.listing import Listing
from cachingclient.storage.files.local import LocalFolder
from cachingclient.storage.model import EntryInfo, StoreError

logger = logging.getLogger("cachingclient")

MAGIC = b"cachingclient-inventory 1 "
NEW = f"{INVENTORY}/new-"
MOST_HELD = 10_000  # entries of a writer that are not yet filed, in a megabyte or so
EVERY = 300.0
MOST_NEW = 1_000_000  # rows of writers that are looked at together; other entries are read
MOST_OF_SORTS = 4 << 20  # bytes
AT_ONCE = 1000

Reader = Callable[[dict[str, float]], Iterable[EntryInfo]]


class Inventory:
    """Keeps the inventory of one folder.

    Parameters
    ----------
    folder
        The folder.
    read
        Reads the descriptions of these names, with the times of their last use.
    """

    def __init__(self, folder: LocalFolder, read: Reader) -> None:
        self.folder = folder
        self._read = read
        self._held: list[Row] = []
        self._filed = time.monotonic()
        self._lock = free_in_children(threading.Lock())

    def numbers(self, keys: Iterable[str]) -> dict[str, int]:
        """The numbers of an entry's files that were just written under these keys, the first of which is ours."""
        numbers: dict[str, int] = {}
        for key in keys:
            try:
                there = self.folder.inode(step_name(key))
            except OSError:
                break
            if there in numbers.values() or not numbers:  # else the key was taken: that is a file of another's
                numbers[key] = there
        return numbers

    def record(self, info: EntryInfo, numbers: Mapping[str, int]) -> None:
        """Note an entry that was just written under these keys, into files with these numbers."""
        with self._lock:
            self._held += [row(info, key, number) for key, number in numbers.items()]
        if len(self._held) >= MOST_HELD or time.monotonic() - self._filed >= EVERY:
            self.file()

    def file(self) -> None:
        """Write the noted rows to a file; if that fails, these descriptions are read when they are needed."""
        with self._lock:
            held, self._held = self._held, []
            self._filed = time.monotonic()
        if held:
            self._save(f"{NEW}{os.urandom(8).hex()}", Outline.of_rows(held))

    def survey(self, times: bool) -> Iterator[Outline]:
        """Every entry under its own key, and under another one where its own is gone."""
        owns, others = [np.empty(0, "u8")], []
        for shard, outline in self._shards(times):
            rows = outline.rows
            own = rows["key"] == rows["own"]
            owns.append(_beginnings(rows["key"][own]))
            yield outline.where(own)
            if not own.all():
                others.append((shard, rows[~own][["key", "own", "used"]]))
        there = np.concatenate(owns)
        for shard, rows in others:
            lost = rows[~np.isin(_beginnings(rows["own"]), there)]
            names = (f"{shard}/{key}" for key in hexes(lost["key"]))
            yield Outline.of(self._read(dict(zip(names, lost["used"].tolist(), strict=True))))

    def unread(self) -> Iterator[str]:
        """The names of files that should be descriptions and have no row, even after all were looked through."""
        for shard, outline in self._shards(times=False):
            there = self.folder.listing(shard, times=False)
            yield from (f"{shard}/{key}" for key in sorted(set(hexes(there.keys)) - set(outline.all_keys())))

    def _shards(self, times: bool) -> Iterator[tuple[str, Outline]]:
        """Each shard with all of its rows."""
        names = [status.name for status in self.folder.walk(INVENTORY)]
        new, seen = self._new([name for name in names if name.startswith(NEW)])
        first = np.frombuffer(new.rows["key"].tobytes(), "u1")[::16]
        saved = not self.folder.read_only
        for shard in filter(_is_shard, self.folder.shards(STEPS)):
            name = f"{INVENTORY}/{shard[-2:]}"
            known = self._load(name) if name in names else Outline.joined([])
            mine = new.where(first == int(shard[-2:], 16))
            outline, changed = self._shard(shard, known, mine, times)
            if saved and changed:
                saved = self._save(name, outline)
            yield shard, outline
        if saved:
            self.folder.remove(seen)

    def _shard(self, shard: str, known: Outline, new: Outline, times: bool) -> tuple[Outline, bool]:
        """The rows of a shard, and whether its file of the inventory is out of date."""
        there = self.folder.listing(shard, times)
        old = Outline.joined([known, new])
        rows, found = _look_up(old, there)
        kept = old.where(rows)
        kept.rows["used"] = there.used[found]
        missing = np.flatnonzero(~found)
        read = [self._described(shard, there, missing[n : n + AT_ONCE]) for n in range(0, len(missing), AT_ONCE)]
        outline = Outline.joined([kept, *read])
        fresh = len(new.rows) + sum(len(each.rows) for each in read)
        return outline, fresh > 0 or len(old.rows) > 2 * len(outline.rows)

    def _described(self, shard: str, there: Listing, numbers: npt.NDArray[np.intp]) -> Outline:
        keys = hexes(there.keys[numbers])
        used = there.used[numbers].tolist()
        inodes = dict(zip(keys, there.inodes[numbers].tolist(), strict=True))
        infos = self._read({f"{shard}/{key}": when for key, when in zip(keys, used, strict=True)})
        return Outline.of_rows(row(info, info.key, inodes[info.key]) for info in infos)

    def _new(self, names: list[str]) -> tuple[Outline, list[str]]:
        """The rows that writers added, and the names of their files."""
        outlines, seen, count = [], [], 0
        for name in names:
            if count < MOST_NEW:
                outline = self._load(name)
                outlines.append(outline)
                seen.append(name)
                count += len(outline.rows)
        return Outline.joined(outlines), seen

    def _save(self, name: str, outline: Outline) -> bool:
        if not len(outline.rows):
            self.folder.remove([name])
            return True
        sorts, body = json.dumps(outline.sorts).encode(), outline.rows.tobytes()
        head = b"%d %b\n" % (len(sorts), xxhash.xxh3_128_hexdigest(sorts + body).encode())
        content = b"".join((MAGIC, head, sorts, body))
        try:
            return self.folder.put([name], [memoryview(content)], overwrite=True)
        except StoreError as error:
            logger.debug("the inventory is not kept: %s", error)
            return False

    def _load(self, name: str) -> Outline:
        """The rows of a file of the inventory; none if the file is damaged."""
        content = self.folder.fetch([name]).get(name, b"")
        head, _, rest = content.partition(b"\n")
        try:
            length, digest = head.removeprefix(MAGIC).decode().split()
            sorts, body = rest[: int(length)], rest[int(length) :]
            if len(sorts) > MOST_OF_SORTS or not head.startswith(MAGIC) or digest != xxhash.xxh3_128_hexdigest(rest):
                raise ValueError("it is not an inventory, or not all of it")
            outline = Outline(np.frombuffer(body, ROW), [_sort(*sort) for sort in loads(sorts)])
        except (TypeError, ValueError) as error:
            logger.debug("%s of %s is not used: %s", name, self.folder.url, error)
            return Outline.joined([])
        return outline.where(_can_be(outline))


def _sort(kind: str, name: str, codec: str) -> Sort:
    """The sort of an entry, which anyone may have written."""
    for text in (kind, name, codec):
        if not isinstance(text, str):
            raise TypeError("a sort takes three texts")
        text.encode()  # half a character can't be printed
    return kind, name, codec


def _can_be(outline: Outline) -> npt.NDArray[np.bool_]:
    """Which rows have the numbers of an entry."""
    rows = outline.rows
    there = (rows["sort"] < len(outline.sorts)) & (rows["nbytes"] >= 0) & (rows["nbytes"] <= MOST_BYTES)
    for name in ("created", "seconds"):
        there &= (rows[name] >= 0) & (rows[name] <= LATEST)  # not for what is no number either
    return there


def _is_shard(folder: str) -> bool:
    return len(folder) == len(STEPS) + 3 and set(folder[-2:]) <= set("0123456789abcdef")


def _look_up(outline: Outline, there: Listing) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """The rows of the files that are known, and which of the files these are.

    Of several rows of a file the last counts: its number may have been that of another file before.
    """
    if not len(outline.rows):
        return np.empty(0, np.intp), np.zeros(len(there.keys), bool)
    known = _identities(outline.rows["key"], outline.rows["inode"])
    wanted = _identities(there.keys, there.inodes)
    order = np.argsort(known, kind="stable")
    rows = order[np.maximum(np.searchsorted(known, wanted, side="right", sorter=order) - 1, 0)]
    found = known[rows] == wanted
    return rows[found], found


def _beginnings(keys: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """Half of each key: enough to tell them apart, and a number."""
    return np.frombuffer(keys.tobytes(), "u8")[::2].copy()


def _identities(keys: npt.NDArray[np.void], inodes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bytes_]:
    both = np.empty(len(keys), [("key", "V16"), ("inode", "<u8")])
    both["key"], both["inode"] = keys, inodes
    return both.view("S24")
