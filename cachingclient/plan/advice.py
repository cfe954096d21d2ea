"""What would save more: functions to mark as steps, results kept in vain, files that are known by their time."""

from __future__ import annotations

import os
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from cachingclient import units
from cachingclient.plan.history import Run
from cachingclient.storage import Store

MOST = 3
FEWEST_RUNS = 3
"""In so many runs a step ran, and was loaded in none, before its results count as kept in vain."""
FEWEST_BYTES = 10_000_000
LEAST_SHARE = 0.2
"""The share of the time of all tasks from which on a function is worth a step of its own."""
FEWEST_SAMPLES = 50
NEARLY_ALL = 0.9
"""A function that takes so much of its task only calls what takes the time."""
BY_TIME = "with the setting inputs: content"
"""What a reason says where a file has another time and the same size."""
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_MARKED = tuple(os.path.join(_PACKAGE, *name) for name in (("step.py",), ("worker", "direct_call.py")))
_INSTALLED = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def advice(store: Store, runs: Iterable[Run], profile: Mapping[str, Any]) -> Iterator[str]:
    """Yield at most three sentences, what saves most first.

    Parameters
    ----------
    store
        The store.
    runs
        What was run with it.
    profile
        What dask's profile of the workers saw, as `distributed.Client.profile` returns it.
    """
    runs = list(runs)
    told = [*_by_time(runs), *_inside_tasks(profile), *_in_vain(store, runs)]
    yield from told[:MOST]


def _by_time(runs: Iterable[Run]) -> Iterator[str]:
    """Tell of runs in which files had another time and the same size."""
    touched = [run for run in runs if any(BY_TIME in text for text in run.because.values())]
    if touched:
        spent = units.duration(sum(run.spent for run in touched))
        once = "once" if len(touched) == 1 else f"{len(touched)} times"
        yield (
            f"a file with another time and the same size had steps run again {once}, which took {spent}: with the "
            f"setting inputs: content they run only if its content changed"
        )


def _in_vain(store: Store, runs: Iterable[Run]) -> Iterator[str]:
    """Tell of steps whose results are kept, large, and were never loaded, though they ran again and again."""
    ran: Counter[str] = Counter()
    loaded: set[str] = set()
    for run in runs:
        for name, counts in run.names.items():
            ran[name] += counts.ran > 0
            if counts.loaded:
                loaded.add(name)
    suspects = {name for name, count in ran.items() if count >= FEWEST_RUNS} - loaded
    if not suspects:
        return
    nbytes: Counter[str] = Counter()
    for outline in store.survey(times=False):
        for number, (kind, name, _) in enumerate(outline.sorts):
            if kind == "result" and name in suspects:
                rows = outline.rows[outline.rows["sort"] == number]
                nbytes[name] += int(np.sum(rows["nbytes"]))
    for name, size in nbytes.most_common():
        if size >= FEWEST_BYTES:
            yield (
                f"{name} ran in {ran[name]} runs and was loaded in none; what is kept of it takes {units.size(size)}: "
                f"mark it with @step(cache=False), or remove it with cachectl rm --step {name}"
            )


def _inside_tasks(profile: Mapping[str, Any]) -> Iterator[str]:
    """Tell of the user's functions that tasks spend their time in and that are no steps."""
    total = int(profile.get("count", 0))
    if total < FEWEST_SAMPLES:
        return
    inside: Counter[tuple[str, str, str]] = Counter()
    waiting: list[tuple[Mapping[str, Any], str, int]] = [(profile, "", 0)]
    while waiting:
        node, task, whole = waiting.pop()
        count, told = int(node["count"]), node.get("description", {})
        file, name = str(told.get("filename", "")), str(told.get("name", ""))
        if file in _MARKED:
            task = ""  # what it calls is a step already
        elif _is_users(file) and name.isidentifier():
            if task and count < NEARLY_ALL * whole:
                inside[task, name, os.path.basename(file)] += count
                continue
            task, whole = task or name, count
        waiting += [(child, task, whole) for child in node.get("children", {}).values()]
    for (task, name, file), count in inside.most_common():
        if count >= LEAST_SHARE * total:
            share = f"{count / total:.0%}"
            yield f"{name} ({file}) takes {share} of the time of all tasks, inside {task}: mark it with @step"


def _is_users(file: str) -> bool:
    """Tell whether a file is neither an installed library's nor ours; the code of notebooks has none, and is."""
    return bool(file) and not file.startswith((*_INSTALLED, _PACKAGE)) and "site-packages" not in file
