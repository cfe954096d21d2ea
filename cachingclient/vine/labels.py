"""What steps took when they ran before, as their entries tell, so that a scheduler knows before they run again."""

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
class Label:
    """What a step of one name took: the median of its seconds, and the most of its memory in bytes."""

    seconds: float
    memory: int


def learn(entries: Iterable[EntryInfo]) -> dict[str, Label]:
    """Return a label for each step name among some entries.

    Examples
    --------
    >>> from cachingclient.storage import Entry, encode, open_store
    >>> store = open_store("memory://labels")
    >>> store.write(Entry(("0f" * 16,), "result", "fill", 1.5, {"peak": 4000}, encode(42)))
    True
    >>> learn(store.scan())
    {'fill': Label(seconds=1.5, memory=4000)}
    """
    seconds: dict[str, list[float]] = defaultdict(list)
    memory: dict[str, int] = defaultdict(int)
    for info in itertools.islice(entries, MOST_ENTRIES):
        if info.kind == "result":
            seconds[info.name].append(info.seconds)
            memory[info.name] = max(memory[info.name], int(info.details.get("peak", 0)))
    return {name: Label(median(each), memory[name]) for name, each in seconds.items()}


def labels_of(store: Store) -> dict[str, Label]:
    """Return what the entries of a store tell."""
    return learn(store.scan())


def memory_to_ask(label: Label, workers: Iterable[Mapping[str, float]]) -> tuple[float | None, str]:
    """Return the memory to ask for, and what to warn of.

    Nothing is asked for if the step fits as often as a worker has threads, and nothing if it fits nowhere: then it
    runs where it can, and the user is told.

    Examples
    --------
    >>> memory_to_ask(Label(1.0, 6_000), [{"cores": 4, "memory": 16_000}])
    (7500.0, '')
    >>> memory_to_ask(Label(1.0, 3_000), [{"cores": 4, "memory": 16_000}])
    (None, '')
    """
    wanted = label.memory * MARGIN
    found = [(each["memory"], each.get("cores", 1)) for each in workers if "memory" in each]
    if not found or all(wanted * cores <= memory for memory, cores in found):
        return None, ""
    most = max(memory for memory, _ in found)
    if label.memory > most:
        return None, f"took {label.memory / 1e9:.3g} GB before, and no worker has more than {most / 1e9:.3g} GB"
    return min(wanted, most), ""
