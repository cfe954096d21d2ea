"""Keeping a store within its size limit, behind the client's work."""

from __future__ import annotations

import threading

from cachingclient.notes import NoteKeeper
from cachingclient.storage import Store, prune

GROWTH = 0.05
"""The store is looked through again when this part of its limit was written since the last time."""


class Upkeep:
    """Prunes a store in the background, at the start and whenever enough was kept.

    Parameters
    ----------
    store
        The store.
    limit
        The bytes it may hold. It may be exceeded for a while: by what is kept while it is looked through, and
        by what other clients keep.
    notes
        Told when the store can't be pruned.

    Examples
    --------
    >>> from cachingclient.storage import open_store
    >>> upkeep = Upkeep(open_store("memory://upkeep"), 10**6, NoteKeeper())
    >>> upkeep.kept(10**5)
    >>> upkeep.finish()
    """

    def __init__(self, store: Store, limit: int, notes: NoteKeeper) -> None:
        self.store = store
        self.limit = limit
        self.notes = notes
        self._since = limit
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def kept(self, nbytes: int) -> None:
        """Note that so many bytes were kept."""
        with self._lock:
            self._since += nbytes
            if self._since < GROWTH * self.limit or (self._thread is not None and self._thread.is_alive()):
                return
            self._since = 0
            self._thread = threading.Thread(target=self._prune, name="cachingclient-upkeep", daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Wait for the pruning that is under way."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _prune(self) -> None:
        try:
            prune(self.store, max_size=self.limit)
        except Exception as error:
            self.notes.add(f"the store {self.store.url} was not pruned to its size limit: {error}")
