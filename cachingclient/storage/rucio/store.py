"""A store in Rucio: ``rucio://scope/name?rse=NAME&lifetime=30d``.

Rucio takes tens of milliseconds a file, so entries are gathered into packs, and looked up in indices that are kept
on the local disk. See ``pack_format.py`` for the files and ``catalogue.py`` for the requests to Rucio.

Notes
-----
An entry that was written is in Rucio after ``flush`` (which ``close`` does, and a timer soon after the first write);
a process that is killed before loses the entries that it had gathered. Ordinary accounts can't delete in Rucio: a
deleted entry is no longer found, and its bytes go when the lifetime of its week ends. There are no leases and no pins.
With two lifetimes (``lifetime=7d-180d``) what saves more for its bytes lives longer, and uses prolong it; see
``lifetimes.py``.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import xxhash

from cachingclient.forks.children import free_in_children
from cachingclient.storage.base import Store
from cachingclient.storage.entry import DamagedEntryError, unpack
from cachingclient.storage.limits import limits
from cachingclient.storage.model import Entry, EntryInfo, EntryLost, Frame, StoreError, under
from cachingclient.storage.options import names_taken, refuse_unknown
from cachingclient.storage.rucio.gathering import Gathering
from cachingclient.storage.rucio.known import Known
from cachingclient.storage.rucio.pack_format import Flag, read_index
from cachingclient.storage.rucio.pack_writer import mapped
from cachingclient.storage.rucio.place import default_local, lifetimes_of, parse_url
from cachingclient.storage.rucio.uses import Uses

logger = logging.getLogger("cachingclient")

LONGEST = 30.0  # that entries are gathered
LONGEST_UNSEEN = 3600.0  # that what others removed may not have been seen where entries are prolonged
REFRESH_EVERY = 10.0
MOST_OFFSET = 1 << 60
is_index = re.compile(r"cachingclient\.[0-9]{1,15}\.[0-9a-f]{32}\.idx").fullmatch
is_pack = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}").fullmatch


class RucioStore(Store):
    """Entries in packs below a Rucio container.

    Parameters
    ----------
    url
        ``rucio://scope/name?rse=NAME``; also ``lifetime=30d`` or ``lifetime=7d-180d``, the least and the most,
        ``read_rse=EXPRESSION``, from which to read, ``copies=EXPRESSION,EXPRESSION``, to which Rucio is to copy all,
        and ``fast=EXPRESSION``, to which it is to copy what is used.
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
        scope, name, query = parse_url(url)
        lifetimes = lifetimes_of(url, query)
        from cachingclient.storage.rucio.catalogue import Catalogue  # needs rucio-clients
        from cachingclient.storage.rucio.client import SignedInClient

        refuse_unknown(client, names_taken(SignedInClient) | {"local", "local_limit"})
        self._catalogue = Catalogue(scope, name, query, lifetimes, **client)
        self._local = Path(local) if local else default_local(url)
        self._local.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make_room(self._local, int(local_limit))
        self._lock = free_in_children(threading.RLock())
        self._known = Known()
        self._refreshed = float("-inf")
        self._gathering = Gathering(self._local, lifetimes)
        self._uses = Uses(lifetimes, self._send_uses)
        self._timer: threading.Timer | None = None

    def find(self, keys: Iterable[str]) -> dict[str, EntryInfo]:
        with self._lock:
            self._refresh()
            told = self._known.descriptions
            known = {key: told[key] for key in keys if key in told}
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
        known = self._known.indices
        new = sorted(there - known)
        self._catalogue.fetch([name for name in new if not (self._local / name).exists()], self._local)
        if known - there or (new and known and new[0] < max(known)):
            # Some ended their lifetime, or an earlier one came late: first come, first served, by name.
            self._known.forget()
            new = sorted(there)
        known.update(name for name in new if self._learn(name))  # the others are tried again
        self._known.complete = there <= known
        for record in self._gathering.records():
            self._known.apply(record)
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
            self._known.apply(record, name)
        return True

    def payload(self, info: EntryInfo) -> bytes | Frame:
        if info.payload is not None:
            return info.payload
        name, offset = _place(info)
        frame = self._gathering.frame(name, offset, info.nbytes)
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
            if not overwrite and entry.keys[0] in self._known.descriptions:
                return False
            info = self._gathering.take(entry, overwrite=overwrite)
            self._file(info, entry.keys, Flag.REPLACE if overwrite else Flag.FIRST)
        return True

    def alias(self, info: EntryInfo, keys: Iterable[str], *, overwrite: bool = False) -> int:
        with self._lock:
            self._refresh()
            new = [key for key in keys if overwrite or key not in self._known.descriptions]
            place = info.details.get("place")
            if isinstance(place, list) and (
                name := self._gathering.sent.get(str(place[0]))
            ):  # found here while its pack grew
                info = replace(info, details={**info.details, "place": [name, place[1]]})
            for key in new:
                self._file(under(key, info), (key,), Flag.REPLACE if overwrite else Flag.FIRST)
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
            self._known.apply(self._gathering.add(info, key, flag))
        if self._gathering.full:
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
            try:
                for index in self._gathering.send(self._catalogue.add, self._known.indices):
                    self._known.indices.add(index)
            except StoreError:
                self._set_timer()
                raise
            self._uses.send()

    def _flush_later(self) -> None:
        try:
            self.flush()
        except StoreError as error:
            logger.warning("results wait to be sent: %s", error)

    def scan(self) -> Iterator[EntryInfo]:
        with self._lock:
            self._refresh()
            known = dict(self._known.descriptions)
        for key, data in known.items():
            info = self._described(key, data)
            if info is not None and info.key == info.keys[0]:
                yield info if info.payload is None else replace(info, payload=b"")

    def touch(self, keys: Iterable[str]) -> None:
        """Have entries prolonged with the next flush, where lifetimes vary; elsewhere all live equally long."""
        if self._uses.count(keys):
            self._set_timer()

    def _send_uses(self, keys: Iterable[str]) -> None:
        """Prolong the files of entries."""
        with self._lock:
            if time.monotonic() - self._refreshed > LONGEST_UNSEEN:
                self._refresh()  # a process that only loads may know no index yet
            told = self._known.descriptions
            infos = (self._described(key, told[key]) for key in keys if key in told)
            lasts = {i.key: self._gathering.lifetimes.of(i.kind, i.seconds, i.nbytes) for i in infos if i is not None}
            for due, names in self._uses.due(lasts, self._known):
                self._catalogue.prolong(names, *due)

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
