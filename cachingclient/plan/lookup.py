"""Look-ups that never hold up or fail an analysis."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar, cast

from cachingclient import config
from cachingclient.hashing.inputs.told import Told
from cachingclient.hashing.inputs.trace import Surroundings
from cachingclient.plan.variants import find_variants, has_expired
from cachingclient.storage import EntryInfo, Store
from cachingclient.warn_once import NoteKeeper, note_call

AT_ONCE = 0.001
"""Stores quicker than this, in seconds, are asked directly: handing over to a thread takes longer than asking."""
T = TypeVar("T")
R = TypeVar("R")


class LookUp:
    """Finds entries in a store. If the store fails or is too slow, it counts as empty, and the user is told once.

    Parameters
    ----------
    store
        The store.
    notes
        Told of a store that does not answer.
    here
        The surroundings that an entry's trace has to fit; None to find entries whatever they depend on.

    Attributes
    ----------
    reasons
        For keys that have entries, none of which fits: why the last of them does not.
    unanswered
        The keys of which the store did not say what it has.

    Examples
    --------
    >>> from cachingclient.storage import open_store
    >>> LookUp(open_store("memory://look-up"), NoteKeeper())(["0f" * 16])
    {}
    """

    def __init__(self, store: Store, notes: NoteKeeper, here: Surroundings | None = None) -> None:
        self.store = store
        self.notes = notes
        self.here = here
        self.reasons: dict[str, str] = {}
        self.unanswered: set[str] = set()

    def __call__(self, keys: Iterable[str]) -> Mapping[str, EntryInfo]:
        """Return what is kept under these keys, has not expired, and was made in surroundings like those here."""
        note_call()  # what looks may be a thread
        if self.here is None:
            return self._find(keys)
        variants = find_variants(self._find, keys, self.here, elsewhere=True)
        self.reasons |= variants.reasons
        return variants.found

    def _find(self, keys: Iterable[str]) -> Mapping[str, EntryInfo]:
        asked = list(keys)
        try:
            if self.store.latency < AT_ONCE:  # which sees to it itself that it answers in time
                found = self.store.find(asked)
            else:
                found = run_with_timeout(config.look_up_timeout(), self.store.find, asked)
        except Exception as error:
            self.unanswered.update(asked)
            self.notes.add(f"the store {self.store.url} does not answer, so what it has is computed again: {error}")
            return {}
        return {key: info for key, info in found.items() if not has_expired(info)}


def surroundings(
    store: Store, classes: Callable[[Mapping[str, str]], str] | None = None, told: Collection[Told | None] | None = None
) -> Surroundings:
    """Return the surroundings that the entries of a store are compared with.

    What they name is looked at as long as the looks get on; of what others may have written, no longer than the store
    itself may take to answer.

    Parameters
    ----------
    store
        The store.
    classes, told
        As for `Surroundings`.

    Examples
    --------
    >>> from cachingclient.hashing.inputs.trace import Trace
    >>> from cachingclient.storage import open_store
    >>> surroundings(open_store("memory://look-up")).difference(Trace(folder="/no/such/folder"))
    'it was made in the folder /no/such/folder, where its relative paths led'
    """
    patience = config.look_up_timeout()
    ours = store.private and store.trust == "all"
    return Surroundings(told, classes=classes, seconds=patience, most=math.inf if ours else patience)


def run_with_timeout(seconds: float, function: Callable[[T], R], argument: T) -> R:
    """Return what a function returns, or stop waiting for it: its thread is left behind, and holds up no exit.

    Raises
    ------
    TimeoutError
        If it took longer.

    Examples
    --------
    >>> run_with_timeout(5, len, [1, 2])
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
