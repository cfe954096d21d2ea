"""What a run spent on keeping results, and what keeping those that were left out would have taken."""

from __future__ import annotations

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
    keeping took 10 ms of processor time, 0.5% of what the steps took; keep-budget left 1 result out (about 30 ms more)
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
        # No budget is named that would be enough: workers judge by what ran until then, of each step without its waits
        # for a processor, so these sums may come to less than a budget that left results out.
        line += f"keep-budget left {self.results_left:,} result{'s' if self.results_left > 1 else ''} out "
        return line + f"(about {units.duration(self.left)} more)"


def spending(records: Collection[StepRecord]) -> Spending:
    """Return what was spent, by what the workers recorded."""
    left = [record.keeping for record in records if record.note == BEYOND_BUDGET]
    kept = sum(record.keeping for record in records if record.note != BEYOND_BUDGET)
    return Spending(sum(record.seconds for record in records if record.action == "ran"), kept, sum(left), len(left))
