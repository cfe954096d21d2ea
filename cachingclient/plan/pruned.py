"""What was ever pruned of a store: one line a pruning, in a small file beside its history of runs."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

from cachingclient.plan.history import OF_OTHERS, history_of
from cachingclient.storage import PruneReport, Store

MOST_BYTES = 100_000
"""A file that is larger is summed up into one line."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """Sums over prunings: how many removed anything, and the entries, bytes and seconds of running that went."""

    prunings: int = 0
    entries: int = 0
    nbytes: int = 0
    seconds: float = 0.0

    def __add__(self, other: Pruned) -> Pruned:
        return Pruned(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))


def remember_pruning(store: Store, report: PruneReport) -> None:
    """Add what a pruning removed to the sums of its store. What can't be written is left out: no pruning fails for it.

    Examples
    --------
    >>> from cachingclient.storage import open_store
    >>> store = open_store("memory://pruned-example")
    >>> before = pruned_of(store)
    >>> remember_pruning(store, PruneReport(entries=3, nbytes=4096))
    >>> pruned_of(store).entries - before.entries
    3
    """
    if report.dry_run or not report.entries:
        return
    path = _path(store)
    line = json.dumps(asdict(Pruned(1, report.entries, report.nbytes, round(report.seconds, 3))))
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > MOST_BYTES:
            _sum_up(path)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(handle, f"{line}\n".encode())
        finally:
            os.close(handle)


def pruned_of(store: Store) -> Pruned:
    """Return what was ever pruned of a store: by anyone where it is a folder, else by this user from this machine."""
    return _read(_path(store))


def _path(store: Store) -> Path:
    runs = history_of(store).path
    return runs.with_suffix(".pruned") if runs.suffix == OF_OTHERS else runs.with_name("pruned.jsonl")


def _read(path: Path) -> Pruned:
    total = Pruned()
    with contextlib.suppress(OSError):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError, RecursionError):
                told = json.loads(line)  # anyone may have written it
                prunings, entries, nbytes = (max(int(told[name]), 0) for name in ("prunings", "entries", "nbytes"))
                total += Pruned(prunings, entries, nbytes, max(float(told["seconds"]), 0.0))
    return total


def _sum_up(path: Path) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(f"{json.dumps(asdict(_read(path)))}\n", encoding="utf-8")
    fresh.replace(path)
