"""A hundred thousand small results in a local folder: in packs, beside a file each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cachingclient.storage import Entry, Store, encode, open_store

ROUNDS = 10
AT_ONCE = 256
"""Results that a worker writes together at most."""
PARTS = ("written", "found", "loaded", "pruned")


def measure(folder: Path, count: int) -> Iterator[tuple[str, list[float], list[float]]]:
    """Each part with its seconds of processor time in packs and with a file each, by round; rounds take turns."""
    together: dict[str, list[float]] = {part: [] for part in PARTS}
    alone: dict[str, list[float]] = {part: [] for part in PARTS}
    for number in range(ROUNDS):
        for name, write, spent in (("alone", _one_by_one, alone), ("together", _at_once, together)):
            store = open_store(folder / f"{name}-{number}")
            entries = [_entry(n) for n in range(count // ROUNDS)]
            for part, seconds in zip(PARTS, _parts(store, entries, write), strict=True):
                spent[part].append(seconds)
    for part in PARTS:
        yield part, together[part], alone[part]


def _parts(store: Store, entries: list[Entry], write: Callable[[Store, list[Entry]], Any]) -> Iterator[float]:
    keys = [each.keys[0] for each in entries]
    yield _spent(lambda: write(store, entries))
    yield _spent(lambda: store.find(keys))
    found = store.find(keys)
    if len(found) != len(keys):
        raise SystemExit(f"{len(keys) - len(found)} results are not there")
    yield _spent(lambda: [store.read(found[key]) for key in keys])
    yield _spent(lambda: store.delete(keys))


def _entry(number: int) -> Entry:
    """A result as small as many steps have, with as many details."""
    arguments = [os.urandom(16).hex() for _ in range(6)]
    details = {"code": os.urandom(16).hex(), "arguments": arguments, "upstream": [os.urandom(16).hex()], "user": "ada"}
    return Entry((os.urandom(16).hex(),), "result", "select_objects", 1.5, details, encode(float(number)))


def _one_by_one(store: Store, entries: list[Entry]) -> None:
    for each in entries:
        store.write(each)


def _at_once(store: Store, entries: list[Entry]) -> None:
    for start in range(0, len(entries), AT_ONCE):
        store.write_together(entries[start : start + AT_ONCE])


def _spent(action: Callable[[], Any]) -> float:
    before = time.process_time()
    action()
    return time.process_time() - before
