"""What a graph did: a plan says what will happen to every step, the workers' records what did.

Counts are formed when a report is looked at (`summary`), and drawn as text, HTML (`tables`) or a `picture`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cachingclient import human
from cachingclient.plan import Plan
from cachingclient.summary import Summary, summarise

RecordAction = Literal["loaded", "ran", "cut off"]


@dataclass(slots=True)
class StepRecord:
    """What a worker did for one step.

    Parameters
    ----------
    key, name
        The step's key in the graph, and its name.
    action
        ``"loaded"``; ``"ran"``; or ``"cut off"``: loaded after all, since a result of the same code on inputs
        with the same contents was kept.
    seconds
        What it took: running, or loading.
    nbytes
        The size of the result as stored; 0 where it never was.
    kept
        Whether the result is now in the store because of this step.
    note
        Why it was not kept, or what else a reader should know.
    saved
        What running would have taken, for what was loaded or cut off, where the worker knows it.

    Examples
    --------
    >>> StepRecord("select-1", "select", "ran", 1.5, 4096, True).action
    'ran'
    """

    key: Any
    name: str
    action: RecordAction
    seconds: float = 0.0
    nbytes: int = 0
    kept: bool = False
    note: str = ""
    saved: float = 0.0


class RunReport:
    """What one graph did: the plan, and what the workers recorded.

    Parameters
    ----------
    plan
        What was meant to happen.
    records
        What did; the client appends to it while the graph runs.
    planning_seconds
        What identifying and planning took.
    store
        The URL of the store.

    Notes
    -----
    A step whose record never arrives (it raised, was cancelled, or was sent as it is because nothing of it is
    kept) counts as the plan has it, with no time spent.
    """

    def __init__(
        self,
        plan: Plan,
        records: Iterable[StepRecord] = (),
        planning_seconds: float = 0.0,
        store: str = "",
    ) -> None:
        self.plan = plan
        self.records = list(records)
        self.planning_seconds = planning_seconds
        self.store = store

    def summary(self) -> Summary:
        """The counts as they stand now."""
        summary = summarise(self.plan, self.records)
        summary.footnote = f"planned in {human.duration(self.planning_seconds)}"
        if self.store:
            summary.footnote += f"; store {self.store}"
        return summary

    def to_dict(self) -> dict[str, Any]:
        """Everything that is shown, JSON-able."""
        return self.summary().to_dict() | {"planning_seconds": self.planning_seconds, "store": self.store}

    def picture(self, path: str | Path) -> Path:
        """Draw the graph by step name into a PNG, SVG or PDF file."""
        from cachingclient.picture import draw

        return draw(self.plan, path, self.records)

    def __str__(self) -> str:
        return str(self.summary())

    def add(self, reports: Iterable[RunReport]) -> None:
        """Take in what other graphs did, as if all were one graph: a coffea run sends several.

        Examples
        --------
        >>> report = RunReport(Plan({}, frozenset()))
        >>> report.add([RunReport(Plan({}, frozenset()), planning_seconds=0.5)])
        >>> report.planning_seconds
        0.5
        """
        for report in reports:
            # What a later graph takes from an earlier one stands in both: as held in the later.
            steps = {**report.plan.steps, **self.plan.steps}
            self.plan = Plan(steps, self.plan.wanted | report.plan.wanted)
            self.records += report.records
            self.planning_seconds += report.planning_seconds
            self.store = report.store

    # A report is looked at, in a prompt as in a notebook: what it is called says nothing.
    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
