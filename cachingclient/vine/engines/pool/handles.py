"""Handles, which stand for results in a pool: what a proxy holds of them, and what it asks of the pool."""

from __future__ import annotations

import threading
from collections import Counter, UserDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from dask.typing import Key

from cachingclient.vine.engine import Handle, Needs


class Pool(Protocol):
    """An engine's pool, as far as its proxies use it.

    Attributes
    ----------
    cluster
        The cluster whose sites the proxies stand for.
    proxies
        Its proxies by their addresses.
    holders
        How many proxies have each handle.
    """

    cluster: Any
    proxies: dict[str, Any]
    holders: Holders

    def run(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], needs: Needs
    ) -> Future[Handle]:
        """Run a function in the pool."""

    def put(self, value: Any) -> Handle:
        """Take a value into the pool."""

    def fetch_pickled(self, handles: Sequence[Handle]) -> list[bytes | bytearray]:
        """Return values as they were pickled in the pool."""

    def release(self, handles: Iterable[Handle]) -> None:
        """Let the pool forget values."""


class Held(UserDict[Key, Any]):
    """A proxy's data. The pool forgets a value with the last proxy that has its handle.

    Parameters
    ----------
    engine
        The pool.
    """

    def __init__(self, engine: Pool) -> None:
        super().__init__()
        self._engine = engine

    def __setitem__(self, key: Key, value: Any) -> None:
        before = self.data.get(key)
        self._engine.holders.hold(value)
        self.data[key] = value
        self._drop(before)

    def __delitem__(self, key: Key) -> None:
        self._drop(self.data.pop(key))

    def _drop(self, value: Any) -> None:
        if self._engine.holders.drop(value):
            self._engine.release([value])


class Holders:
    """How many proxies have each handle.

    Examples
    --------
    >>> holders = Holders()
    >>> for _ in range(2):
    ...     holders.hold(Handle("v1"))
    >>> holders.drop(Handle("v1")), holders.drop(Handle("v1"))
    (False, True)
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def hold(self, value: Any) -> None:
        """Note one more."""
        if isinstance(value, Handle):
            with self._lock:
                self._counts[value.key] += 1

    def drop(self, value: Any) -> bool:
        """Note one less; tell whether it was the last."""
        if not isinstance(value, Handle):
            return False
        with self._lock:
            self._counts[value.key] -= 1
            last = self._counts[value.key] <= 0
            if last:
                del self._counts[value.key]
            return last
