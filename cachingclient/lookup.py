"""Look-ups that never hold up or fail an analysis."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar, cast

from cachingclient import config
from cachingclient.notes import NoteKeeper
from cachingclient.storage import EntryInfo, Store

AT_ONCE = 0.001
"""Stores quicker than this, in seconds, are asked directly: handing over to a thread takes longer than asking."""
T = TypeVar("T")
R = TypeVar("R")


class LookUp:
    """Finds entries in a store. One that fails, or does not answer in time, has none, and the user is told once.

    Examples
    --------
    >>> from cachingclient.storage import open_store
    >>> LookUp(open_store("memory://look-up"), NoteKeeper())(["0f" * 16])
    {}
    """

    def __init__(self, store: Store, notes: NoteKeeper) -> None:
        self.store = store
        self.notes = notes

    def __call__(self, keys: Iterable[str]) -> Mapping[str, EntryInfo]:
        """Return what is kept under these keys and has not expired."""
        try:
            if self.store.latency < AT_ONCE:
                found = self.store.find(list(keys))
            else:
                found = within(config.look_up_timeout(), self.store.find, list(keys))
        except Exception as error:
            self.notes.add(f"the store {self.store.url} does not answer, so what it has is computed again: {error}")
            return {}
        return {key: info for key, info in found.items() if not has_expired(info)}


def within(seconds: float, function: Callable[[T], R], argument: T) -> R:
    """Return what a function returns, or stop waiting for it: its thread is left behind, and holds up no exit.

    Raises
    ------
    TimeoutError
        If it took longer.

    Examples
    --------
    >>> within(5, len, [1, 2])
    2
    """
    outcome: queue.SimpleQueue[tuple[R | None, BaseException | None]] = queue.SimpleQueue()

    def call() -> None:
        try:
            outcome.put((function(argument), None))
        except BaseException as error:
            outcome.put((None, error))

    threading.Thread(target=call, name="cachingclient-look-up", daemon=True).start()
    try:
        result, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return cast(R, result)


def has_expired(info: EntryInfo) -> bool:
    """Tell whether the time that the user gave a result is over."""
    return float(info.details.get("expires", "inf")) < time.time()
