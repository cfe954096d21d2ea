"""How far a graph is: what was loaded, ran and is still to run, and how long that will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cachingclient import units
from cachingclient.plan.report import RunReport
from cachingclient.plan.steps import Action
from cachingclient.storage import Store

if TYPE_CHECKING:
    from rich.console import Console

EVERY = 0.2
"""How often the bars are drawn again, in seconds."""


@dataclass(frozen=True, slots=True)
class State:
    """How far a graph is.

    Attributes
    ----------
    loaded, to_load, ran, to_run
        How many steps were loaded and ran, and how many of each there are.
    seconds
        How long the steps that are left take, one after the other; 0 where nobody knows.
    """

    loaded: int
    to_load: int
    ran: int
    to_run: int
    seconds: float

    def __str__(self) -> str:
        parts = []
        if self.to_load:
            parts.append(f"{self.loaded:,} of {self.to_load:,} loaded")
        if self.to_run:
            parts.append(f"{self.ran:,} of {self.to_run:,} ran")
        return ", ".join(parts) or "nothing to do"


def state_of(report: RunReport, typical: Mapping[str, float]) -> State:
    """Return how far the graph of a report is.

    Parameters
    ----------
    report
        The report; records are added to it while the graph runs.
    typical
        The seconds that a step of a name took before.

    Examples
    --------
    >>> from cachingclient.plan.plan import Plan
    >>> str(state_of(RunReport(Plan({}, frozenset())), {}))
    'nothing to do'
    """
    steps = report.plan.steps
    done = {record.key: record for record in list(report.records) if record.key in steps}
    to_run = [step for step in steps.values() if step.action is Action.RUN]
    to_load = [key for key, step in steps.items() if step.action is Action.LOAD and not step.unread]
    took: dict[str, list[float]] = {}
    for record in done.values():
        if record.action == "ran":
            took.setdefault(record.name, []).append(record.seconds)
    left = 0.0
    for step in to_run:
        if step.key not in done:
            of_name = took.get(step.name)
            left += sum(of_name) / len(of_name) if of_name else typical.get(step.name, 0.0)
    ran = sum(step.key in done for step in to_run)
    return State(sum(key in done for key in to_load), len(to_load), ran, len(to_run), left)


def typical_seconds(store: Store) -> dict[str, float]:
    """Return how long steps took on average, by name, as what is kept of them says.

    Examples
    --------
    >>> from cachingclient.storage import open_store
    >>> typical_seconds(open_store("memory://typical"))
    {}
    """
    sums: dict[str, list[float]] = {}
    for outline in store.survey(times=False):
        for number in np.unique(outline.rows["sort"]).tolist():
            kind, name, _ = outline.sorts[number]
            seconds = outline.rows["seconds"][outline.rows["sort"] == number]
            if kind == "result":
                total = sums.setdefault(name, [0.0, 0.0])
                total[0], total[1] = total[0] + float(seconds.sum()), total[1] + len(seconds)
    return {name: total / count for name, (total, count) in sums.items()}


def is_seen(console: Console | None = None) -> bool:
    """Tell whether somebody looks: at a terminal or a notebook.

    Examples
    --------
    >>> is_seen()
    False
    """
    from rich.console import Console

    console = console if console is not None else Console()
    return console.is_interactive or console.is_jupyter


def show(
    report: RunReport,
    typical: Mapping[str, float],
    threads: Callable[[], int],
    is_done: Callable[[], bool],
    console: Console | None = None,
) -> None:
    """Show bars until a graph is done; nothing where nobody looks.

    Parameters
    ----------
    report
        The report of the graph.
    typical
        The seconds that a step of a name took before.
    threads
        Returns how many steps run at once.
    is_done
        Tells whether the graph is done.
    console
        Where to draw; None is the terminal, or the notebook.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = console if console is not None else Console()
    if not is_seen(console):
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    state = state_of(report, typical)
    with Progress(*columns, console=console) as bars:
        loads = bars.add_task("loaded", total=state.to_load, visible=bool(state.to_load), left="")
        runs = bars.add_task("ran", total=state.to_run, visible=bool(state.to_run), left="")
        while True:
            done = is_done()  # before the counts are: the last ones are then shown
            state = state_of(report, typical)
            seconds = state.seconds / max(1, threads())
            left = f"about {units.duration(seconds)} left" if seconds and not done else ""
            bars.update(loads, completed=state.to_load if done else state.loaded)
            bars.update(runs, completed=state.to_run if done else state.ran, left=left)
            if done:
                return
            time.sleep(EVERY)


def follow(
    report: RunReport, store: Store, threads: Callable[[], int], is_pending: Callable[[RunReport], bool]
) -> None:
    """Show bars until the graph of a report is done; nothing, and nothing is looked up, where nobody looks."""
    if is_seen():
        show(report, typical_seconds(store), threads, lambda: not is_pending(report))
