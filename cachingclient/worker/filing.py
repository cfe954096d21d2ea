"""Filing a result under its content key, beside those that were made in other surroundings."""

from __future__ import annotations

from dataclasses import replace

from cachingclient.hashing.inputs.trace import Trace
from cachingclient.plan.variants import free_slot
from cachingclient.storage import Entry, Store


def file_result(store: Store, entry: Entry, trace: Trace, *, overwrite: bool = False) -> str:
    """Write a result into a slot of its content key; return the key of the slot.

    Most content keys are new, and writing tells that by itself: only where something is filed already are the slots
    looked at. A store that gathers its entries can't tell at once, so there they are looked at before.

    Parameters
    ----------
    store
        Where it is kept.
    entry
        The result, under its content key.
    trace
        What it depends on beside the key.
    overwrite
        Whether an entry with the same trace is replaced.

    Examples
    --------
    >>> from cachingclient.storage import encode, open_store
    >>> entry = Entry(("0f" * 16,), "result", "answer", 1.5, {}, encode(42))
    >>> file_result(open_store("memory://filing"), entry, Trace()) == "0f" * 16
    True
    """
    if not overwrite and not store.gathers and store.write(entry):
        return entry.keys[0]
    name, there, has_to_go = free_slot(store.find, entry.keys[0], trace)
    if there is None or overwrite:
        store.write(replace(entry, keys=(name,)), overwrite=overwrite or has_to_go)
    return name
