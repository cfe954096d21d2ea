"""Stores before another store, which does everything that they do not do themselves."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from cachingclient.forks.children import free_in_children
from cachingclient.storage.base import Store
from cachingclient.storage.columns import Outline
from cachingclient.storage.model import Entry, EntryInfo, Frame, Lease, Problem, StoreUnavailable

REST_AFTER_FAILURE = 30.0


class Wrapper(Store):
    """A store before another one."""

    @property
    @abstractmethod
    def inner(self) -> Store:
        """The store behind."""

    @property
    def read_only(self) -> bool:  # type: ignore[override]
        return self.inner.read_only

    @property
    def trust(self) -> str:  # type: ignore[override]
        return self.inner.trust

    @property
    def private(self) -> bool:  # type: ignore[override]
        return self.inner.private

    @property
    def gathers(self) -> bool:  # type: ignore[override]
        return self.inner.gathers

    @property
    def places(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.inner.places

    @property
    def latency(self) -> float:  # type: ignore[override]
        return self.inner.latency

    @property
    def bandwidth(self) -> float:  # type: ignore[override]
        return self.inner.bandwidth

    def find(self, keys: Iterable[str]) -> dict[str, EntryInfo]:
        return self.inner.find(keys)

    def payload(self, info: EntryInfo) -> bytes | Frame:
        return self.inner.payload(info)

    def slim(self, info: EntryInfo) -> EntryInfo:
        return self.inner.slim(info)

    def write(self, entry: Entry, *, overwrite: bool = False) -> bool:
        return self.inner.write(entry, overwrite=overwrite)

    def alias(self, info: EntryInfo, keys: Iterable[str], *, overwrite: bool = False) -> int:
        return self.inner.alias(info, keys, overwrite=overwrite)

    def delete(self, keys: Iterable[str]) -> int:
        return self.inner.delete(keys)

    def scan(self) -> Iterator[EntryInfo]:
        return self.inner.scan()

    def survey(self, *, times: bool = True) -> Iterator[Outline]:
        return self.inner.survey(times=times)

    def evict(self, used: Iterable[tuple[str, float]]) -> int:
        return self.inner.evict(used)

    def touch(self, keys: Iterable[str]) -> None:
        self.inner.touch(keys)

    def pin(self, keys: Iterable[str], pinned: bool = True) -> None:
        self.inner.pin(keys, pinned)

    def pins(self) -> set[str]:
        return self.inner.pins()

    def collect(self, grace: float, *, dry_run: bool = False) -> tuple[int, int]:
        return self.inner.collect(grace, dry_run=dry_run)

    def check(self, *, repair: bool = False) -> Iterator[Problem | None]:
        return self.inner.check(repair=repair)

    def damaged(self) -> Iterator[Problem]:
        return self.inner.damaged()

    def remove_damaged(self) -> int:
        return self.inner.remove_damaged()

    def totals(self) -> dict[str, tuple[int, int]]:
        return self.inner.totals()

    def lease(self, key: str, seconds: float) -> Lease | None:
        return self.inner.lease(key, seconds)

    def recent(self, limit: int) -> list[EntryInfo]:
        return self.inner.recent(limit)

    def refresh(self) -> None:
        self.inner.refresh()

    def flush(self) -> None:
        self.inner.flush()

    def close(self) -> None:
        self.inner.close()


class SentStore(Wrapper):
    """A store that came from another process, and is opened here when it is first used.

    Opening it may fail here though it worked there: a worker without a way to the server, without a credential or
    without a library. That must not fail the task that the store came with, so it fails where a store may fail.

    Examples
    --------
    >>> from cachingclient.storage import open_store
    >>> store = SentStore("memory://sent", {}, open_store)
    >>> store.find(["0f" * 16])
    {}
    """

    def __init__(self, url: str, options: Mapping[str, Any], opener: Callable[..., Store]) -> None:
        self.url, self.options = url, dict(options)
        self._opener = opener
        self._lock = free_in_children(threading.Lock())
        self._opened: Store | None = None
        self._failed: tuple[float, str] = (float("-inf"), "")

    @property
    def inner(self) -> Store:
        with self._lock:
            if self._opened is None:
                when, why = self._failed
                if time.monotonic() - when < REST_AFTER_FAILURE:
                    raise StoreUnavailable(why)
                try:
                    self._opened = self._opener(self.url, **self.options)
                except Exception as error:
                    self._failed = time.monotonic(), str(error)
                    raise StoreUnavailable(str(error)) from error
            return self._opened

    @property
    def packs(self) -> bool:  # type: ignore[override]
        return self.inner.packs

    def write_together(self, entries: Sequence[Entry]) -> list[bool]:
        return self.inner.write_together(entries)

    def alias_together(self, entries: Sequence[tuple[EntryInfo, str]]) -> list[bool]:
        return self.inner.alias_together(entries)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"
