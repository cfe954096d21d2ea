"""Whether steps that are marked ``rows=True`` keep the promise: asked by the user, and of a few blocks in each run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import distributed

from cachingclient import config
from cachingclient.coffea.chunks import Chunk
from cachingclient.coffea.rows import KINDS, join_rows, kind_of
from cachingclient.coffea.same_rows import difference
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.plan.lookup import LookUp
from cachingclient.storage import Entry, Store, encode
from cachingclient.warn_once import CacheWarning, NoteKeeper
from cachingclient.worker.context import configured_context, current_context
from cachingclient.worker.observe import unobserved
from cachingclient.worker.options import unmarked
from cachingclient.worker.process import versions

ONE_IN = 100
"""Of this many pairs of neighbouring blocks one is given to the row-wise steps as a whole too, and compared."""
_join: Callable[..., Any] = unmarked(join_rows)
_notes = NoteKeeper()


def check_rows(step: Callable[..., Any], events: Any, /, **others: Any) -> None:
    """Run a step on events and on parts of them, and compare: does it keep what ``rows=True`` promises?

    Nothing is taken from a store, and nothing kept.

    Parameters
    ----------
    step
        The step, or the function.
    events
        What it takes first: a `Chunk`, or an awkward array, a numpy array, a pandas frame, a dict or tuple of these.
    **others
        Its other arguments, the same for the events and their parts.

    Raises
    ------
    ValueError
        If what it returns for the parts is not what it returns for all, but for rounding; or if there are fewer than
        three events.
    TypeError
        If the events, or what the step returns, have no rows.

    Examples
    --------
    >>> import numpy as np
    >>> check_rows(lambda pt: pt[pt > 30], np.array([20.0, 40.0, 50.0, 10.0]))
    >>> check_rows(lambda pt: pt / pt.max(), np.array([20.0, 40.0, 50.0, 10.0]))
    Traceback (most recent call last):
    ValueError: <lambda> is not row-wise: joined from parts and of all at once there are 1.0 and 0.4 at place 0
    """
    function, count, name = unmarked(step), _count(events), _name(step)
    if count < 3:
        raise ValueError(f"events has {count} rows; it takes three or more, to be cut into parts of different sizes")
    edges = sorted({0, count // 3, count // 2, count})
    parts = [function(_cut(events, *edge), **others) for edge in pairwise(edges)]
    if differs := difference(_join(name, parts), _join(name, [function(events, **others)])):
        raise ValueError(f"{name} is not row-wise: joined from parts and of all at once there are {differs}")


def _name(step: Any) -> str:
    return getattr(step, "__name__", None) or type(step).__qualname__


def _count(events: Any) -> int:
    if isinstance(events, (dict, tuple)):
        counts = {_count(each) for each in (events.values() if isinstance(events, dict) else events)}
        if len(counts) != 1:
            raise ValueError(f"events has parts of {sorted(counts)} rows; it takes parts of as many rows each")
        return counts.pop()
    if not (isinstance(events, Chunk) or kind_of(events)):
        raise TypeError(f"events is a {type(events).__qualname__}; it takes a Chunk, or {KINDS}")
    return len(events)


def _cut(events: Any, start: int, stop: int) -> Any:
    """Return some rows of events."""
    if isinstance(events, Chunk):
        return replace(events, start=events.start + start, stop=events.start + stop)
    if isinstance(events, dict):
        return {name: _cut(each, start, stop) for name, each in events.items()}
    if isinstance(events, tuple):
        cut = [_cut(each, start, stop) for each in events]
        return type(events)(*cut) if hasattr(events, "_fields") else tuple(cut)
    return events.iloc[start:stop] if kind_of(events) == "pandas" else events[start:stop]


def pairs_to_check(blocks: Sequence[Chunk], block: int, *, the_first: bool) -> list[int]:
    """Return which blocks of a chunk are looked at together with the next: the same in every run.

    Parameters
    ----------
    blocks
        The blocks of the chunk.
    block
        The entries in a block.
    the_first
        Whether the first two are in any case.

    Examples
    --------
    >>> blocks = [Chunk("ttbar", "root://host//a.root", "Events", start, start + 10) for start in (0, 10, 20, 30)]
    >>> pairs_to_check(blocks, 10, the_first=True)
    [0]
    """
    last = len(blocks) - 2
    pairs = [
        each
        for each in range(len(blocks) - 1)
        if blocks[each].start % (2 * block) == 0
        # Not of halves: a whole block was too much.
        and blocks[each].start + block == blocks[each].stop
        and (each == last or blocks[each].start + 2 * block == blocks[each + 1].stop)
    ]
    return [each for each in pairs if (the_first and each == 0) or blocks[each].seed("row-wise") % ONE_IN == 0]


def check_blocks(
    name: str, function: Callable[..., Any], given: Any, results: Sequence[Any], marker: str, chunk: Chunk | None = None
) -> str:
    """Return how the results of neighbouring blocks differ from that of both at once; empty if they do not.

    A difference is a warning, and is noted in the store: graphs that are made afterwards give the step whole chunks.

    Parameters
    ----------
    name
        The step's name.
    function
        Its function.
    given
        What it was given for each block; or both as one chunk, if it is the first.
    results
        What it returned.
    marker
        The key to note it under.
    chunk
        Both blocks, if the function takes its chunk.
    """
    also = {} if chunk is None else {"chunk": chunk}
    try:
        whole = unmarked(function)(given if isinstance(given, Chunk) else _join(name, list(given)), **also)
        differs = difference(_join(name, list(results)), _join(name, [whole]))
    except Exception as error:  # a look at a sample never fails the analysis
        with unobserved():
            _tell(f"step {name!r} is marked rows=True, which could not be checked: {type(error).__name__}: {error}")
        return ""
    if differs:
        with unobserved():
            _tell(
                f"step {name!r} is marked rows=True, but joined from blocks of events and of all at once there are "
                f"{differs}; what it gives for blocks is not used by graphs that are made from now on"
            )
            _note(name, differs, marker)
    return differs


def _tell(text: str) -> None:
    """Warn here and on the clients; where warnings are errors, that is no reason to fail."""
    with contextlib.suppress(CacheWarning):
        distributed.warn(text, CacheWarning)


def _note(name: str, differs: str, marker: str) -> None:
    context = current_context()
    if context is None or not context.keep or not marker:
        return
    try:
        entry = Entry((marker,), "result", f"check-{name}", 0.0, dict(versions()), encode(differs))
        context.store.write(entry)
    except Exception as error:
        _tell(f"that step {name!r} is not row-wise can't be noted: {type(error).__name__}: {error}")


def row_wise(functions: Iterable[tuple[str, Callable[..., Any]]]) -> dict[int, str]:
    """Return those functions, by their ids, that keep the promise as far as the store knows, with the keys of notes.

    Parameters
    ----------
    functions
        Functions that are marked ``rows=True``, with the names of their steps.
    """
    markers = {id(function): (name, _marker(function)) for name, function in functions}
    store = store_in_use() if markers else None
    noted = LookUp(store, _notes)({key for _, key in markers.values() if key}) if store is not None else {}
    for name, key in markers.values():
        if key in noted:
            _notes.add(
                f"step {name!r} is marked rows=True and was seen not to be row-wise, so it is given whole chunks: "
                "mend it, or take the mark away; cachingclient.coffea.check_rows tells how it differs"
            )
    return {function: key for function, (_, key) in markers.items() if key not in noted}


def _marker(function: Callable[..., Any]) -> str:
    """Return the key under which is noted that this code is not row-wise; empty if the code has no identity."""
    try:
        return identify(("not row-wise", function), Inputs(config.inputs()), config.environment()).key
    except Unidentifiable:
        return ""


def store_in_use() -> Store | None:
    """Return the store of the client that is there, None if it has none; without such a client the configured one."""
    with contextlib.suppress(AttributeError, ValueError):
        store: Store | None = distributed.default_client().cache
        return store
    context = configured_context()
    return context.store if context is not None else None
