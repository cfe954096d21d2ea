"""A fast store nearby before a shared one far away."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from cachingclient.storage.base import Encoded, Entry, EntryInfo, EntryLost, Frame, Lease, Problem, Store, StoreError

logger = logging.getLogger("cachingclient")


class TieredStore(Store):
    """Looks near first; what is read from far is kept near; what is written goes to both.

    Parameters
    ----------
    near, far
        The stores. The far one is shared and decides what there is; the near one may be emptied at any time.
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

    def __init__(self, near: Store, far: Store, *, behind: bool = False, options: Mapping[str, Any]) -> None:
        self.near, self.far = near, far
        self.url, self.options = far.url, dict(options)
        self.latency, self.bandwidth = far.latency, far.bandwidth
        self._behind = ThreadPoolExecutor(1, "cachingclient-behind") if behind else None
        self._waiting: list[Future[bool]] = []

    @property
    def read_only(self) -> bool:  # type: ignore[override]
        return self.far.read_only

    @property
    def data_only(self) -> bool:  # type: ignore[override]
        return self.far.data_only

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

    def write(self, entry: Entry, *, overwrite: bool = False) -> bool:
        if self._behind is not None:
            self._try_near(entry, overwrite)
            self._waiting = [each for each in self._waiting if not each.done()]
            self._waiting.append(self._behind.submit(self._write_far, entry, overwrite))
            return True
        try:
            ours = self.far.write(entry, overwrite=overwrite)
        except StoreError:
            self._try_near(entry, overwrite)
            raise
        if ours:  # else another's result is the one that counts, and reading it will bring it here
            self._try_near(entry, overwrite=True)
        return ours

    def _try_near(self, entry: Entry, overwrite: bool) -> None:
        try:
            self.near.write(entry, overwrite=overwrite)
        except StoreError as error:
            logger.warning("%s is not kept in the near store: %s", entry.name, error)

    def _write_far(self, entry: Entry, overwrite: bool) -> bool:
        try:
            return self.far.write(entry, overwrite=overwrite)
        except StoreError as error:
            logger.warning("%s is kept in the near store only: %s", entry.name, error)
            return False

    def alias(self, info: EntryInfo, keys: Iterable[str]) -> int:
        return self.far.alias(info, keys)

    def delete(self, keys: Iterable[str]) -> int:
        keys = list(keys)
        self.near.delete(keys)
        return self.far.delete(keys)

    def scan(self) -> Iterator[EntryInfo]:
        return self.far.scan()

    def touch(self, keys: Iterable[str]) -> None:
        keys = list(keys)
        self.near.touch(keys)
        self.far.touch(keys)

    def pin(self, keys: Iterable[str], pinned: bool = True) -> None:
        self.far.pin(keys, pinned)

    def pins(self) -> set[str]:
        return self.far.pins()

    def collect(self, grace: float, *, dry_run: bool = False) -> tuple[int, int]:
        return self.far.collect(grace, dry_run=dry_run)

    def check(self, *, repair: bool = False) -> Iterator[Problem | None]:
        return self.far.check(repair=repair)

    def totals(self) -> dict[str, tuple[int, int]]:
        return self.far.totals()

    def lease(self, key: str, seconds: float) -> Lease | None:
        return self.far.lease(key, seconds)

    def flush(self) -> None:
        for each in self._waiting:
            each.result()
        self.far.flush()

    def close(self) -> None:
        self.flush()
        self.near.close()
        self.far.close()
