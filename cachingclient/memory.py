"""The results of this process's last steps, so that equal calls run once even before anything is in the store."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import Any

from cachingclient import config
from cachingclient.storage import Encoded
from cachingclient.storage.codecs import decode


class RecentResults:
    """Results by content key, the least recently used dropped first.

    They are held as bytes, and each call gets a copy of its own: nothing that is done to a result in place shows in
    the next.

    Parameters
    ----------
    most_bytes
        How much is held.

    Examples
    --------
    >>> from cachingclient.storage import encode
    >>> recent = RecentResults(most_bytes=1000)
    >>> kept = recent.add("ab" * 16, encode([1, 2]), seconds=0.5)
    >>> recent.get("ab" * 16)
    ([1, 2], 0.5)
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.nbytes = 0
        self._held: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: str) -> bool:
        return key in self._held

    def __len__(self) -> int:
        return len(self._held)

    def add(self, key: str, encoded: Encoded, seconds: float = 0.0) -> Encoded:
        """Hold a result that took so long, unless it alone takes more than a quarter of the room; return it as held."""
        if encoded.nbytes > self.most_bytes // 4 or key in self._held:
            return encoded
        payload = b"".join(encoded.frames)
        with self._lock:
            if key not in self._held:
                self._held[key] = payload, seconds
                self.nbytes += len(payload)
            while self.nbytes > self.most_bytes:
                _, (dropped, _) = self._held.popitem(last=False)
                self.nbytes -= len(dropped)
        return replace(encoded, frames=(memoryview(payload),))

    def get(self, key: str) -> tuple[Any, float]:
        """Return a copy of a result, and the seconds that it took.

        Raises
        ------
        KeyError
            It is not held, or not any more.
        """
        with self._lock:
            payload, seconds = self._held[key]
            self._held.move_to_end(key)
        return decode(bytearray(payload)), seconds

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._held.clear()
            self.nbytes = 0


@functools.cache
def recent_results() -> RecentResults:
    """Return those of this process."""
    return RecentResults(config.recent_results())
