"""A fast store nearby before a shared one far away."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from typing import Any

from cachingclient.forks.children import free_in_children
from cachingclient.storage.base import Store
from cachingclient.storage.codecs import is_data
from cachingclient.storage.model import Encoded, Entry, EntryInfo, EntryLost, Frame, StoreError
from cachingclient.storage.wrappers.wrapper import Wrapper

logger = logging.getLogger("cachingclient")

MOST_BEHIND = 512e6  # bytes on their way to the far store; beyond, a write waits for it


class TieredStore(Wrapper):
    """Looks near first, keeps near what it reads from far, and writes to both.

    Parameters
    ----------
    near, far
        The stores. The far one is shared and holds every entry; the near one may be emptied at any time.
    behind
        Whether writes to the far store return before they are done; ``close`` waits for them.

    Notes
    -----
    The near store is the one of the host that reads or writes: every worker opens its own. It is a help only: when
    it fails, the far one is used.

    Examples
    --------
    >>> from cachingclient.storage import encode, open_store
    >>> store = open_store("memory://far", near="memory://near")
    >>> store.write(Entry(("0f" * 16,), "result", "answer", 1.5, {}, encode(42)))
    True
    >>> list(open_store("memory://near").find(["0f" * 16])) == list(open_store("memory://far").find(["0f" * 16]))
    True
    """

    def __init__(
        self,
        near: Store,
        far: Store,
        *,
        behind: bool = False,
        options: Mapping[str, Any],
    ) -> None:
        self.near, self.far = near, far
        self.url, self.options = far.url, dict(options)
        self._behind = ThreadPoolExecutor(1, "cachingclient-behind") if behind else None
        self._waiting: dict[Future[Any], int] = {}  # with the bytes of each
        self._lock = free_in_children(threading.Lock())

    @property
    def inner(self) -> Store:
        return self.far

    @property
    def gathers(self) -> bool:  # type: ignore[override]
        return self._behind is not None or self.far.gathers

    def find(self, keys: Iterable[str]) -> dict[str, EntryInfo]:
        keys = list(keys)
        try:
            found = self.near.find(keys)
        except StoreError as error:
            logger.warning("the near store is left out: %s", error)
            found = {}
        missing = [key for key in keys if key not in found]
        return {**found, **self.far.find(missing)} if missing else found

    def payload(self, info: EntryInfo) -> bytes | Frame:
        if info.payload is not None:
            return self.far.payload(info)
        try:
            return self.near.payload(info)
        except (EntryLost, StoreError):
            payload = self.far.payload(info)
        if self.data_only and not is_data(payload):
            return payload  # it would come to lie among our own
        encoded = Encoded(
            info.codec,
            (memoryview(payload),),
            info.digest,
            info.nbytes,
            info.details["codecs"],
            info.details["libraries"],
        )
        self._try_near(Entry(info.keys, info.kind, info.name, info.seconds, info.details, encoded), overwrite=False)
        return payload

    def slim(self, info: EntryInfo) -> EntryInfo:
        return info  # all of it is written to the near store

    def write(self, entry: Entry, *, overwrite: bool = False) -> bool:
        if self._behind is not None and self._has_room(entry.encoded.nbytes):
            self._try_near(entry, overwrite)
            with self._lock:
                self._waiting[self._behind.submit(self.far.write, entry, overwrite=overwrite)] = entry.encoded.nbytes
            return True
        try:
            ours = self.far.write(entry, overwrite=overwrite)
        except StoreError:
            self._try_near(entry, overwrite)
            raise
        if ours:  # else another's result is the one that counts, and reading it will bring it here
            self._try_near(entry, overwrite=True)
        return ours

    def alias(self, info: EntryInfo, keys: Iterable[str], *, overwrite: bool = False) -> int:
        keys = list(keys)
        with suppress(StoreError):
            _alias(self.near, info, keys, overwrite)
        if self._behind is None:
            return _alias(self.far, info, keys, overwrite)
        with self._lock:  # after the result itself, which may still be on its way
            self._waiting[self._behind.submit(_alias, self.far, info, keys, overwrite)] = 0
        return len(keys)

    def _has_room(self, nbytes: int) -> bool:
        """Whether so many bytes more may be on their way; what arrived is forgotten, what failed is told by flush."""
        with self._lock:
            self._waiting = {each: n for each, n in self._waiting.items() if not each.done() or each.exception()}
            return sum(n for each, n in self._waiting.items() if not each.done()) + nbytes <= MOST_BEHIND

    def _try_near(self, entry: Entry, overwrite: bool) -> None:
        try:
            self.near.write(entry, overwrite=overwrite)
        except StoreError as error:
            logger.warning("%s is not kept in the near store: %s", entry.name, error)

    def delete(self, keys: Iterable[str]) -> int:
        keys = list(keys)
        with suppress(StoreError):
            self.near.delete(keys)
        return self.far.delete(keys)

    def evict(self, used: Iterable[tuple[str, float]]) -> int:
        used = list(used)
        with suppress(StoreError):
            self.near.delete(key for key, _ in used)
        return self.far.evict(used)

    def touch(self, keys: Iterable[str]) -> None:
        keys = list(keys)
        with suppress(StoreError):
            self.near.touch(keys)
        self.far.touch(keys)

    def refresh(self) -> None:
        self.near.refresh()
        self.far.refresh()

    def flush(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        failed = [error for each in wait(waiting).done if (error := each.exception()) is not None]
        self.far.flush()
        if failed:
            raise StoreError(f"{len(failed)} results are in the near store only: {failed[0]}") from failed[0]

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self.near.close()
            self.far.close()


def _alias(store: Store, info: EntryInfo, keys: Iterable[str], overwrite: bool) -> int:
    """File an entry under more keys in one of the stores, which has a place of its own for the bytes."""
    filed = 0
    for own in store.find([info.key]).values():
        places = {name: own.details[name] for name in store.places if name in own.details}
        filed += store.alias(replace(own, details={**info.details, **places}), keys, overwrite=overwrite)
    return filed
