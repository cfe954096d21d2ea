"""Plans of a few steps, and what workers told of one."""

from __future__ import annotations

from collections.abc import Iterable

from cachingclient.plan.plan import Plan
from cachingclient.plan.record import StepRecord
from cachingclient.plan.steps import Action, PlannedStep
from cachingclient.storage import EntryInfo


def step(
    key: str,
    action: str,
    before: Iterable[str] = (),
    *,
    took: float | None = None,
    reason: str = "",
    keep: bool = True,
) -> PlannedStep:
    """A planned step named by the letters before the dash of its key; `took` says that an entry is known."""
    name = key.partition("-")[0]
    step_key = None if reason else "ab" * 16
    info = None if took is None else EntryInfo(step_key or "", "result", name, "numpy", "", 1000, 0.0, took, {})
    return PlannedStep(key, name, Action(action), step_key, reason, info, keep, frozenset(before))


def plan(*steps: PlannedStep) -> Plan:
    """A plan of these steps, the last of which is wanted."""
    return Plan({step.key: step for step in steps}, frozenset([steps[-1].key] if steps else []))


RECORDS = [
    StepRecord("select-1", "select", "loaded", 0.1, 1000),
    StepRecord("select-2", "select", "loaded", 0.1, 1000),
    StepRecord("fill-1", "fill", "ran", 1.5, 50, kept=True),
    StepRecord("fill-2", "fill", "cut off", 0.1, 50, kept=True, saved=1.6),
    StepRecord("plot-1", "plot", "ran", 0.2),
]
