"""Keeping a store within its size limit, behind the client's work."""

from __future__ import annotations

import threading

from cachingclient.client.metrics import METRICS
from cachingclient.forks.children import free_in_children
from cachingclient.plan.pruned import remember_pruning
from cachingclient.storage import Store, prune
from cachingclient.warn_once import NoteKeeper

GROWTH = 0.05
"""The store is pruned again once this fraction of its limit was written since the last pruning."""


class AutoPrune:
    """Prunes a store in the background, at the start and whenever enough was kept.

    Parameters
    ----------
    store
        The store.
    limit
        The bytes it may hold. The store may exceed them for a while, by the results that this client keeps during a
        pruning, and by the results of other clients.
    notes
        Warns the user when the store can't be pruned.

    Examples
    --------
    >>> from cachingclient.storage import open_store
    >>> auto_prune = AutoPrune(open_store("memory://auto_prune"), 10**6, NoteKeeper())
    >>> auto_prune.kept(10**5)
    >>> auto_prune.finish()
    """

    def __init__(self, store: Store, limit: int, notes: NoteKeeper) -> None:
        self.store = store
        self.limit = limit
        self.notes = notes
        self._since = limit
        self._lock = free_in_children(threading.Lock())
        self._thread: threading.Thread | None = None

    def kept(self, nbytes: int) -> None:
        """Count bytes that were kept, and start a pruning when they are many."""
        with self._lock:
            self._since += nbytes
            if self._since < GROWTH * self.limit or (self._thread is not None and self._thread.is_alive()):
                return
            self._since = 0
            self._thread = threading.Thread(target=self._prune, name="cachingclient-auto_prune", daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Wait until no pruning is under way."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _prune(self) -> None:
        try:
            report = prune(self.store, max_size=self.limit)
            METRICS.pruned(self.store.url, report)
            remember_pruning(self.store, report)
        except Exception as error:
            self.notes.add(f"the store {self.store.url} was not pruned to its size limit: {error}")
