"""The time and memory that steps took before, from their entries, for the scheduler to know before they run again."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from cachingclient.storage import EntryInfo, Store

MOST_ENTRIES = 20_000
"""How many entries are looked at: of a step some hundred say as much as all."""
MARGIN = 1.25
"""How much more memory is asked for than a step ever took."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The median of the seconds, and the most of the bytes of memory, that the steps of one name took."""

    seconds: float
    memory: int


def estimates_among(entries: Iterable[EntryInfo]) -> dict[str, Estimate]:
    """Return an estimate for each step name among some entries.

    Examples
    --------
    >>> from cachingclient.storage import Entry, encode, open_store
    >>> store = open_store("memory://estimates")
    >>> store.write(Entry(("0f" * 16,), "result", "fill", 1.5, {"peak": 4000}, encode(42)))
    True
    >>> estimates_among(store.scan())
    {'fill': Estimate(seconds=1.5, memory=4000)}
    """
    seconds: dict[str, list[float]] = defaultdict(list)
    memory: dict[str, int] = defaultdict(int)
    for info in itertools.islice(entries, MOST_ENTRIES):
        if info.kind == "result":
            seconds[info.name].append(info.seconds)
            memory[info.name] = max(memory[info.name], int(info.details.get("peak", 0)))
    return {name: Estimate(median(each), memory[name]) for name, each in seconds.items()}


def estimates_of(store: Store) -> dict[str, Estimate]:
    """Return an estimate for each step name in a store."""
    return estimates_among(store.scan())


def memory_to_ask(estimate: Estimate, workers: Iterable[Mapping[str, float]]) -> tuple[float | None, str]:
    """Return the memory to ask for, and what to warn of.

    Nothing is asked for if the step fits as often as a worker has threads, and nothing if it fits nowhere: then it
    runs where it can, and the user is told.

    Examples
    --------
    >>> memory_to_ask(Estimate(1.0, 6_000), [{"cores": 4, "memory": 16_000}])
    (7500.0, '')
    >>> memory_to_ask(Estimate(1.0, 3_000), [{"cores": 4, "memory": 16_000}])
    (None, '')
    """
    wanted = estimate.memory * MARGIN
    found = [(each["memory"], each.get("cores", 1)) for each in workers if "memory" in each]
    if not found or all(wanted * cores <= memory for memory, cores in found):
        return None, ""
    most = max(memory for memory, _ in found)
    if estimate.memory > most:
        return None, f"took {estimate.memory / 1e9:.3g} GB before, and no worker has more than {most / 1e9:.3g} GB"
    return min(wanted, most), ""
