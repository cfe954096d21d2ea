"""Several entries for one key, made in different surroundings: each in a slot of its own, under a key made of the key.

A correction file that is switched to and fro, or two values of an environment variable, give results that are all
worth keeping. They live beside each other: an entry whose trace does not hold now is passed over, and the next slot is
looked at.
"""

from __future__ import annotations

import functools
import socket
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import xxhash

from cachingclient.hashing.inputs.trace import Surroundings, Trace
from cachingclient.storage.model import EntryInfo
from cachingclient.units import plain

MOST_SLOTS = 8
"""How many entries of one key are kept; then the one that was made first makes room."""
OBSERVED = "observed"
"""The detail of an entry that holds its trace."""
UNSEEN = "unseen"
"""The detail, in this process alone, that holds the files which another process has to look at."""

Find = Callable[[Iterable[str]], Mapping[str, EntryInfo]]


def slot(key: str, number: int) -> str:
    """Return the key of one of the entries of a key; the first is the key itself.

    Examples
    --------
    >>> slot("0f" * 16, 0) == "0f" * 16
    True
    >>> len(slot("0f" * 16, 1))
    32
    """
    return key if number == 0 else xxhash.xxh3_128_hexdigest(f"{key}#{number}".encode())


def trace_of(info: EntryInfo) -> Trace:
    """Return what an entry depends on beside its key.

    Raises
    ------
    ValueError
        If its description is not to be understood.
    """
    observed = info.details.get(OBSERVED)
    return Trace() if observed is None else Trace.of_json(observed)


@dataclass
class Variants:
    """What was found under some keys.

    Attributes
    ----------
    found
        The entry of each key whose trace holds.
    reasons
        Why there is none for a key that has entries: of the last that was looked at.
    """

    found: dict[str, EntryInfo] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def find_variants(find: Find, keys: Iterable[str], here: Surroundings, *, elsewhere: bool = False) -> Variants:
    """Look keys up, and for entries that do not hold here the next slots, all of a round in one call.

    Parameters
    ----------
    find
        Looks entries up in a store.
    keys
        The keys.
    here
        The surroundings to compare with.
    elsewhere
        Whether files that are not on this machine may be looked at by another process: those of entries that were made
        on another machine.

    Examples
    --------
    >>> find_variants(lambda keys: {}, ["0f" * 16], Surroundings()).found
    {}
    """
    variants = Variants()
    asked = {key: key for key in keys}
    for number in range(MOST_SLOTS):
        if not asked:
            break
        infos = find(asked.keys())
        again: dict[str, str] = {}
        for name, (reason, unseen) in _compared(infos, here, elsewhere).items():
            key = asked[name]
            if reason:
                variants.reasons[key] = plain(reason)
                again[slot(key, number + 1)] = key
                continue
            variants.found[key] = _to_be_checked(infos[name], unseen)
            variants.reasons.pop(key, None)
        asked = again
    return variants


def _compared(
    infos: Mapping[str, EntryInfo], here: Surroundings, elsewhere: bool
) -> dict[str, tuple[str, Collection[str]]]:
    """Return why each entry does not hold here, if so, and the files that another process has to look at."""
    if not infos:
        return {}
    refused: dict[str, tuple[str, Collection[str]]] = {}
    traces: dict[str, Trace] = {}
    for name, info in infos.items():
        try:
            traces[name] = trace_of(info)
        except ValueError as error:
            refused[name] = str(error), ()
    of_others = {name: elsewhere and infos[name].details.get("host") != _here() for name in traces}
    unseen: dict[str, set[str]] = {name: set() for name in traces}
    reasons = here.differences(traces.values(), [unseen[name] if of_others[name] else None for name in traces])
    if here.is_elsewhere:
        for name, trace in traces.items():
            unseen[name].update(files_of(trace))
    return refused | {name: (reason, unseen[name]) for name, reason in zip(traces, reasons, strict=True)}


def files_of(trace: Trace) -> Iterator[str]:
    """Yield the files of a trace."""
    yield from (*trace.named, *trace.read, *trace.written)


@functools.cache
def _here() -> str:
    return socket.gethostname()


def _to_be_checked(info: EntryInfo, unseen: Collection[str]) -> EntryInfo:
    """Return a description that names the files which this process could not look at."""
    return replace(info, details={**info.details, UNSEEN: sorted(unseen)}) if unseen else info


def left_to_check(info: EntryInfo) -> Trace:
    """Return the part of an entry's trace that only the process which loads it can compare.

    These are the files that are not on the client's machine, and the variables and the working folder of the worker.
    """
    trace, unseen = trace_of(info), frozenset(info.details.get(UNSEEN, ()))
    return trace.only(unseen) if trace else trace


def has_expired(info: EntryInfo) -> bool:
    """Tell whether the time that the user gave a result is over."""
    return float(info.details.get("expires", "inf")) < time.time()


def free_slot(find: Find, key: str, trace: Trace) -> tuple[str, EntryInfo | None, bool]:
    """Return where to keep a result.

    Parameters
    ----------
    find
        Looks entries up in a store.
    key
        The key.
    trace
        What the result depends on beside it.

    Returns
    -------
    name
        The key of the slot.
    there
        The entry with the same trace that is there already and has not expired, else None.
    overwrite
        Whether another entry has to make room.

    Examples
    --------
    >>> free_slot(lambda keys: {}, "0f" * 16, Trace()) == ("0f" * 16, None, False)
    True
    """
    own, taken = trace.digest(), []
    for number in range(MOST_SLOTS):
        name = slot(key, number)
        info = find([name]).get(name)
        if info is None:
            return name, None, False
        try:
            if trace_of(info).digest() == own:
                return (name, None, True) if has_expired(info) else (name, info, False)
        except ValueError:
            return name, None, True
        taken.append((info.created, name))
    return min(taken)[1], None, True
