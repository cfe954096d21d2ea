"""The entries of a Rucio store that this process used, whose files are to live on.

A use counts once a week, since the lifetimes of all files begin at the end of a week: what was kept or prolonged in
this week already costs no request.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing.util
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain

from cachingclient.forks.children import free_in_children, reset_in_children
from cachingclient.storage.model import StoreError
from cachingclient.storage.rucio.gathering import Due
from cachingclient.storage.rucio.known import Known
from cachingclient.storage.rucio.lifetimes import Lifetimes, this_week

logger = logging.getLogger("cachingclient")


class Uses:
    """Gathers the keys of used entries, and has their files prolonged.

    Parameters
    ----------
    lifetimes
        Those of the store; where all are the same, nothing is gathered.
    prolong
        Prolongs the files of entries with these keys.

    Examples
    --------
    >>> uses = Uses(Lifetimes.parse("7d-180d"), lambda keys: print(sorted(keys)))
    >>> uses.count(["0f" * 16])
    True
    >>> uses.send()
    ['0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f']
    """

    def __init__(self, lifetimes: Lifetimes, prolong: Callable[[Iterable[str]], None]) -> None:
        self.lifetimes = lifetimes
        self._prolong = prolong
        self._keys: set[str] = set()
        self._lock = free_in_children(threading.Lock())
        self._done: set[tuple[int, Due, str]] = set()
        self._told = False
        if lifetimes.vary:
            reset_in_children(self._keys_are_the_parent_s)
            # As other stores' access log does: nothing closes a store, and most processes end before minutes are over.
            atexit.register(_send_at_the_end, weakref.ref(self))
            multiprocessing.util.Finalize(self, _send_at_the_end, (weakref.ref(self),), exitpriority=5)

    def _keys_are_the_parent_s(self) -> None:
        self._keys = set()

    def count(self, keys: Iterable[str]) -> bool:
        """Note that entries were used; False where nothing is prolonged."""
        if self.lifetimes.vary:
            with self._lock:
                self._keys.update(keys)
        return self.lifetimes.vary

    def send(self) -> None:
        """Have the files of what was used prolonged; if that fails, they end when they would, and a warning says so."""
        with self._lock:
            keys, self._keys = self._keys, set()
        try:
            if keys:
                self._prolong(keys)
        except StoreError as error:
            if not self._told:
                logger.warning("what is used is not prolonged: %s", error)
            self._told = True

    def due(self, used: Mapping[str, int], known: Known) -> Iterator[tuple[Due, set[str]]]:
        """Tell the files that were neither made nor told in this week, by how long they are to live.

        What overrules others comes first, and whenever anything is prolonged: an entry that was removed would be back
        if its removal ended before it. For the same reason nothing is told while an index can't be read.

        Parameters
        ----------
        used
            The lifetimes of the entries that were used, by their keys.
        known
            What is known of the store.
        """
        week = this_week()
        found: dict[Due, set[str]] = {}
        for key, lifetime in used.items() if known.complete else ():
            found.setdefault((lifetime, False), set()).update(known.older(key, week))
        if any(found.values()):
            found = {(self.lifetimes.most, True): {*known.overruling, *chain(*known.overruling.values())}, **found}
        for due, names in found.items():
            new = {name for name in names if (week, due, name) not in self._done}
            if new:
                yield due, new
                self._done.update((week, due, name) for name in new)  # once the caller has prolonged them


def _send_at_the_end(reference: weakref.ref[Uses]) -> None:
    uses = reference()
    if uses is not None:
        uses.send()
