"""What a run spent on keeping results, and what a larger budget would have kept."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from cachingclient import units
from cachingclient.plan.record import BEYOND_BUDGET, StepRecord


@dataclass(frozen=True, slots=True)
class Spending:
    """Seconds that steps ran, and of processor time that keeping took, or would have taken where it was left out.

    Examples
    --------
    >>> left = StepRecord("b", "select", "ran", 1.0, note=BEYOND_BUDGET, keeping=0.03)
    >>> kept = StepRecord("a", "select", "ran", 1.0, kept=True, keeping=0.01)
    >>> print(spending([kept, left]))
    keeping took 10 ms of processor time, 0.5% of what the steps took; keep-budget left 1 result out, 2% would keep all
    >>> print(spending([kept]))
    <BLANKLINE>
    """

    steps: float
    keeping: float
    left: float
    results_left: int

    def __str__(self) -> str:
        if not self.results_left or not self.steps:
            return ""
        line = f"keeping took {units.duration(self.keeping)} of processor time, "
        line += f"{100 * self.keeping / self.steps:.1f}% of what the steps took; "
        line += f"keep-budget left {self.results_left:,} result{'s' if self.results_left > 1 else ''} out, "
        enough = math.ceil(100 * (self.keeping + self.left) / self.steps)
        return line + (f"{enough}% would keep all" if enough <= 100 else "policy='all' would keep all")


def spending(records: Collection[StepRecord]) -> Spending:
    """Return what was spent, by what the workers recorded."""
    left = [record.keeping for record in records if record.note == BEYOND_BUDGET]
    kept = sum(record.keeping for record in records if record.note != BEYOND_BUDGET)
    return Spending(sum(record.seconds for record in records if record.action == "ran"), kept, sum(left), len(left))
