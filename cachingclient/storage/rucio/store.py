"""A store in Rucio: ``rucio://scope/name?rse=NAME&lifetime=30d``.

Rucio takes tens of milliseconds a file, so entries are gathered into packs, and looked up in indices that are kept
on the local disk. See ``pack_format.py`` for the files and ``catalogue.py`` for the requests to Rucio.

Notes
-----
An entry that was written is in Rucio after ``flush`` (which ``close`` does, and a timer soon after the first write);
a process that is killed before loses the entries that it had gathered. Ordinary accounts can't delete in Rucio: a
deleted entry is no longer found, and its bytes go when the lifetime of its week ends. There are no leases and no pins.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import xxhash

from cachingclient.forks.children import free_in_children
from cachingclient.storage.base import Store
from cachingclient.storage.entry import DamagedEntryError, pack, unpack
from cachingclient.storage.limits import limits
from cachingclient.storage.model import Entry, EntryInfo, EntryLost, Frame, StoreError, under
from cachingclient.storage.rucio.pack_format import Flag, Record, read_index
from cachingclient.storage.rucio.pack_writer import PackWriter, mapped

logger = logging.getLogger("cachingclient")

MOST_BYTES, MOST_ENTRIES, LONGEST = 256 << 20, 5000, 30.0  # of a pack before it is sent
REFRESH_EVERY = 10.0
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
MOST_OFFSET = 1 << 60
is_index = re.compile(r"cachingclient\.[0-9]{1,15}\.[0-9a-f]{32}\.idx").fullmatch
is_pack = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}").fullmatch
OPTIONS = ("rse", "lifetime", "read_rse")


class RucioStore(Store):
    """Entries in packs below a Rucio container.

    Parameters
    ----------
    url
        ``rucio://scope/name?rse=NAME``; also ``lifetime=30d`` and ``read_rse=EXPRESSION``, from which to read.
    local
        The folder for indices and for packs that were fetched; by default in the user's cache folder.
    local_limit
        How many bytes of packs are left there when a store is opened.
    **client
        Options of ``rucio.client.Client``; by default those of Rucio's own configuration.
    """

    gathers = True
    places = ("place",)
    latency = 0.005  # a pack takes a tenth of a second, and brings many entries
    bandwidth = 1e8

    def __init__(
        self,
        url: str,
        *,
        trust: str | None = None,
        local: str | None = None,
        local_limit: float = 20e9,
        **client: Any,
    ) -> None:
        self.url, self.trust = url, trust or "data"
        scope, name, query = _parsed(url)
        from cachingclient.storage.rucio.catalogue import Catalogue  # needs rucio-clients

        self._catalogue = Catalogue(
            scope, name, query["rse"], _seconds(query.get("lifetime", "30d"), url), query.get("read_rse"), **client
        )
        self._local = Path(local) if local else _default_local(url)
        self._local.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make_room(self._local, int(local_limit))
        self._lock = free_in_children(threading.RLock())
        self._known: dict[str, bytes] = {}  # key -> description
        self._indices: set[str] = set()
        self._refreshed = float("-inf")
        self._pack_writer = PackWriter(self._local)
        self._sent: dict[str, str] = {}  # names of packs of this process: as they grew -> as sent
        self._timer: threading.Timer | None = None

    def find(self, keys: Iterable[str]) -> dict[str, EntryInfo]:
        with self._lock:
            self._refresh()
            known = {key: self._known[key] for key in keys if key in self._known}
        infos = ((key, self._described(key, data)) for key, data in known.items())
        return {key: info for key, info in infos if info is not None and not self._refused(info)}

    def _described(self, key: str, data: bytes) -> EntryInfo | None:
        """The entry of a description; None for one that is damaged, which costs no other one anything."""
        try:
            return unpack(key, data)
        except DamagedEntryError as error:
            logger.warning("the description of entry %s in %s is left out: %s", key, self.url, error)
            return None

    def _refused(self, info: EntryInfo) -> bool:
        return self.data_only and ("pickle" in info.details["codecs"] or info.nbytes > limits().nbytes)

    def _refresh(self) -> None:
        """Learn of indices that others added, in the order in which they were written."""
        if time.monotonic() - self._refreshed < REFRESH_EVERY:
            return
        there = {name for name in self._catalogue.files() if is_index(name)}
        new = sorted(there - self._indices)
        self._catalogue.fetch([name for name in new if not (self._local / name).exists()], self._local)
        if self._indices - there or (new and self._indices and new[0] < max(self._indices)):
            # Some ended their lifetime, or an earlier one came late: first come, first served, by name.
            self._known.clear()
            self._indices.clear()
            new = sorted(there)
        self._indices.update(name for name in new if self._learn(name))  # the others are tried again
        for record in self._pack_writer.records:
            self._apply(record)
        self._refreshed = time.monotonic()

    def _learn(self, name: str) -> bool:
        """Take in an index; False if it can't be had."""
        path = self._local / name
        try:
            records = list(read_index(path.read_bytes()))
        except (OSError, DamagedEntryError) as error:
            logger.warning("index %s of %s is left out: %s", name, self.url, error)
            path.unlink(missing_ok=True)
            return False
        for record in records:
            self._apply(record)
        return True

    def _apply(self, record: Record) -> None:
        if record.flag is Flag.REMOVE:
            self._known.pop(record.key, None)
        elif record.flag is Flag.REPLACE:
            self._known[record.key] = record.description
        else:
            self._known.setdefault(record.key, record.description)

    def payload(self, info: EntryInfo) -> bytes | Frame:
        if info.payload is not None:
            return info.payload
        name, offset = _place(info)
        frame = self._pack_writer.frame(name, offset, info.nbytes)
        if frame is None:
            frame = self._packed(info, name, offset)
        if not _is_that_of(info, frame):
            raise EntryLost(info.key, "its bytes are not those that were written")
        return frame

    def slim(self, info: EntryInfo) -> EntryInfo:
        place = info.details.get("place")
        return replace(info, details={"place": place} if place else {})

    def _packed(self, info: EntryInfo, name: str, offset: int) -> Frame:
        """A payload of a pack, which is fetched if it is not here, or once more if its copy here was damaged."""
        path = self._local / name
        with self._lock:
            if path.exists():
                with suppress(OSError, ValueError):
                    frame = mapped(path, offset, info.nbytes)
                    if _is_that_of(info, frame):
                        return frame
            self._catalogue.fetch([name], self._local)
        try:
            return mapped(path, offset, info.nbytes)
        except (OSError, ValueError) as error:
            raise EntryLost(info.key, f"pack {name} can't be had: {error}") from error

    def write(self, entry: Entry, *, overwrite: bool = False) -> bool:
        with self._lock:
            self._refresh()
            if not overwrite and entry.keys[0] in self._known:
                return False
            info = self._pack_writer.take(entry)
            self._file(info, entry.keys, Flag.REPLACE if overwrite else Flag.FIRST)
        return True

    def alias(self, info: EntryInfo, keys: Iterable[str]) -> int:
        with self._lock:
            self._refresh()
            new = [key for key in keys if key not in self._known]
            place = info.details.get("place")
            if isinstance(place, list) and (name := self._sent.get(str(place[0]))):  # found here while its pack grew
                info = replace(info, details={**info.details, "place": [name, place[1]]})
            for key in new:
                self._file(under(key, info), (key,), Flag.FIRST)
        return len(new)

    def delete(self, keys: Iterable[str]) -> int:
        freed = 0
        with self._lock:
            for info in self.find(keys).values():
                freed += info.nbytes
                for key in info.keys:
                    self._file(info, (key,), Flag.REMOVE)
        return freed

    def _file(self, info: EntryInfo, keys: Iterable[str], flag: Flag) -> None:
        for key in keys:
            record = Record(key, flag, b"" if flag is Flag.REMOVE else pack(info))
            self._pack_writer.records.append(record)
            self._apply(record)
        if self._pack_writer.nbytes >= MOST_BYTES or len(self._pack_writer.records) >= MOST_ENTRIES:
            self.flush()
        else:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(LONGEST, self._flush_later)
            self._timer.daemon = True
            self._timer.start()

    def refresh(self) -> None:
        self._refreshed = float("-inf")

    def flush(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._pack_writer.records:
                try:
                    with self._pack_writer.finished(after=max(self._indices, default="")) as paths:
                        self._catalogue.add(paths)
                except StoreError:
                    self._set_timer()
                    raise
                self._indices.add(paths[-1].name)
                if len(paths) > 1:
                    self._sent[self._pack_writer.name] = paths[0].name
                self._pack_writer = PackWriter(self._local)

    def _flush_later(self) -> None:
        try:
            self.flush()
        except StoreError as error:
            logger.warning("results wait to be sent: %s", error)

    def scan(self) -> Iterator[EntryInfo]:
        with self._lock:
            self._refresh()
            known = dict(self._known)
        for key, data in known.items():
            info = self._described(key, data)
            if info is not None and info.key == info.keys[0]:
                yield info if info.payload is None else replace(info, payload=b"")

    def touch(self, keys: Iterable[str]) -> None:
        """Rucio evicts by lifetime, not by use."""

    def totals(self) -> dict[str, tuple[int, int]]:
        infos = list(self.scan())
        return {"entries": (len(infos), sum(info.nbytes for info in infos))}

    def close(self) -> None:
        self.flush()


def _place(info: EntryInfo) -> tuple[str, int]:
    """The pack that holds a payload, and where in it; an index is anyone's, so it may name what is no pack."""
    place = info.details.get("place")
    if isinstance(place, list) and len(place) == 2:
        name, offset = place
        if isinstance(name, str) and is_pack(name) and type(offset) is int and 0 <= offset < MOST_OFFSET:
            return name, offset
    raise EntryLost(info.key, "its description names no pack")


def _is_that_of(info: EntryInfo, frame: Frame) -> bool:
    return frame.nbytes == info.nbytes and xxhash.xxh3_128_hexdigest(frame) == info.digest


def _make_room(folder: Path, limit: int) -> None:
    """Remove the oldest packs beyond a limit, and unfinished packs of processes that ended long ago."""
    for path in folder.glob("gathering-*"):
        if path.stat().st_mtime < time.time() - 86400:
            path.unlink(missing_ok=True)
    left = limit
    for path in sorted(folder.glob("*.pack"), key=lambda path: path.stat().st_mtime, reverse=True):
        left -= path.stat().st_size
        if left < 0:
            path.unlink(missing_ok=True)


def _parsed(url: str) -> tuple[str, str, dict[str, str]]:
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    name = parts.path.strip("/")
    if not parts.netloc or not name or "/" in name or "rse" not in query:
        raise ValueError(f"store {url!r}: a Rucio store is rucio://scope/name?rse=NAME")
    unknown = query.keys() - set(OPTIONS)
    if unknown:
        raise ValueError(f"store {url!r} has unknown option {sorted(unknown)[0]!r}; takes {', '.join(OPTIONS)}")
    return parts.netloc, name, query


def _seconds(text: str, url: str) -> int:
    number, unit = text[:-1], text[-1:]
    if not number.isdigit() or unit not in UNITS:
        raise ValueError(f"store {url!r}: lifetime={text!r} takes a number with s, m, h, d or w, as 30d")
    return int(number) * UNITS[unit]


def _default_local(url: str) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return base / "cachingclient-rucio" / xxhash.xxh3_128_hexdigest(url.encode())
