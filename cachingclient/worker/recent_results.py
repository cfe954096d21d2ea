"""The results of this process's last steps in memory: equal calls run once, even before the store has the result."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import Any

from cachingclient import config
from cachingclient.forks.children import free_in_children
from cachingclient.hashing.inputs.trace import Surroundings, Trace
from cachingclient.storage import ClassChangedError, Classes, Encoded
from cachingclient.storage.classes import IMPORTED
from cachingclient.storage.codecs import decode

NOTHING = Trace()


class RecentResults:
    """Results by content key, the least recently used dropped first.

    They are kept as bytes, and each call gets a copy of its own, so a change of one copy in place does not show in the
    next.

    Parameters
    ----------
    most_bytes
        The limit of all results together, in bytes.

    Examples
    --------
    >>> from cachingclient.storage import encode
    >>> recent = RecentResults(most_bytes=1000)
    >>> kept = recent.add("ab" * 16, encode([1, 2]), seconds=0.5)
    >>> recent.get("ab" * 16)[:2]
    ([1, 2], 0.5)
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.nbytes = 0
        self._held: OrderedDict[str, tuple[bytes, float, Trace]] = OrderedDict()
        self._lock = free_in_children(threading.Lock())

    def __contains__(self, key: str) -> bool:
        return key in self._held

    def __len__(self) -> int:
        return len(self._held)

    def add(self, key: str, encoded: Encoded, seconds: float = 0.0, trace: Trace = NOTHING) -> Encoded:
        """Hold a result that took so long, unless it alone takes more than a quarter of the room; return it as held.

        Parameters
        ----------
        key
            The content key.
        encoded
            The result.
        seconds
            How long its step took.
        trace
            What the result depends on beside the key.
        """
        if encoded.nbytes > self.most_bytes // 4 or key in self._held:
            return encoded
        payload = b"".join(encoded.frames)
        with self._lock:
            if key not in self._held:
                self._held[key] = payload, seconds, trace
                self.nbytes += len(payload)
            while self.nbytes > self.most_bytes:
                _, (dropped, *_) = self._held.popitem(last=False)
                self.nbytes -= len(dropped)
        return replace(encoded, frames=(memoryview(payload),))

    def get(self, key: str, classes: Classes = IMPORTED) -> tuple[Any, float, Trace]:
        """Return a copy of a result, the seconds that it took, and its trace; `classes` finds those of the user's.

        Raises
        ------
        KeyError
            It is not held, or not any more, a class that it refers to has changed, or its trace does not hold now.
        """
        with self._lock:
            payload, seconds, trace = self._held[key]
            self._held.move_to_end(key)
        if trace and (difference := Surroundings().difference(trace)):
            self.drop(key)
            raise KeyError(difference)
        try:
            return decode(bytearray(payload), classes), seconds, trace
        except ClassChangedError as error:
            self.drop(key)
            raise KeyError(str(error)) from error

    def drop(self, key: str) -> None:
        """Let go of a result."""
        with self._lock:
            payload, *_ = self._held.pop(key, (b"",))
            self.nbytes -= len(payload)

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._held.clear()
            self.nbytes = 0


@functools.cache
def recent_results() -> RecentResults:
    """Return the results of this process."""
    return RecentResults(config.recent_results())
