"""What a graph did: a plan says what will happen to every step, the workers' records what did.

Counts are formed when a report is looked at (`summary`), and shown as a `table` of text or HTML, or as a `picture`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cachingclient import units
from cachingclient.plan.picture import draw
from cachingclient.plan.plan import Plan
from cachingclient.plan.record import StepRecord
from cachingclient.plan.spending import spending
from cachingclient.plan.summary import Summary, summarise


class RunReport:
    """What one graph did: the plan, and what the workers recorded.

    Parameters
    ----------
    plan
        What was to happen to each step.
    records
        What happened to the steps that reported; the client appends to it while the graph runs.
    planning_seconds
        The seconds that identifying and planning the graph took.
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
        self.began = time.time()
        self.is_in_history = False

    def summary(self) -> Summary:
        """The counts as they stand now."""
        summary = summarise(self.plan.steps, self.records, self.plan.because)
        summary.footnote = f"planned in {units.duration(self.planning_seconds)}"
        if self.store:
            summary.footnote += f"; store {self.store}"
        if spent := str(spending(self.records)):
            summary.footnote = f"{spent}\n{summary.footnote}"
        return summary

    def to_dict(self) -> dict[str, Any]:
        """Everything that is shown, JSON-able."""
        more = {"planning_seconds": self.planning_seconds, "store": self.store}
        return self.summary().to_dict() | more | {"budget": asdict(spending(self.records))}

    def picture(self, path: str | Path) -> Path:
        """Draw the graph by step name into a PNG, SVG or PDF file."""
        return draw(self.plan.steps, path, self.records)

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
            # A step that a later graph takes from an earlier one is in both plans: the later plan has it as held.
            steps = {**report.plan.steps, **self.plan.steps}
            because = {**report.plan.because, **self.plan.because}
            self.plan = Plan(steps, self.plan.wanted | report.plan.wanted, because=because)
            self.records += report.records
            self.planning_seconds += report.planning_seconds
            self.store = report.store

    # A prompt and a notebook show a report in full: its class and address would tell nothing.
    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
