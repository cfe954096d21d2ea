"""Planned steps and the workers' records, counted by step name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cachingclient.graph import Key
from cachingclient.plan.record import StepRecord, last_of_each
from cachingclient.plan.steps import PlannedStep
from cachingclient.plan.unkept import NOT_KEPT

Steps = Mapping[Key, PlannedStep]


@dataclass(slots=True)
class Row:
    """The counts of all steps of one name; the states from `ran` to `held` exclude each other."""

    name: str
    ran: int = 0
    loaded: int = 0
    cut_off: int = 0
    not_needed: int = 0
    held: int = 0
    kept: int = 0
    uncacheable: int = 0
    bytes_loaded: int = 0
    bytes_kept: int = 0
    seconds_spent: float = 0.0
    seconds_saved: float = 0.0

    @property
    def steps(self) -> int:
        """How many steps have this name."""
        return self.ran + self.loaded + self.cut_off + self.not_needed + self.held


def total(rows: Iterable[Row]) -> Row:
    """Return the sum of rows, as a row named ``total``.

    Examples
    --------
    >>> total([Row("load", ran=2), Row("fill", ran=3)]).ran
    5
    """
    names = [name for name in Row.__dataclass_fields__ if name != "name"]
    rows = list(rows)
    return Row("total", **{name: sum(getattr(row, name) for row in rows) for name in names})


def count(steps: Steps, records: Collection[StepRecord] | None) -> tuple[list[Row], Counter[tuple[str, str]]]:
    """Return the counts by step name, in the order of the work, and how often each (step name, reason) came up.

    Parameters
    ----------
    steps
        The steps of a plan.
    records
        None for a plan that has not run: the counts are then what would happen.
    """
    rows: dict[str, Row] = {}
    reasons: Counter[tuple[str, str]] = Counter()
    by_key = last_of_each(records or ())
    inside = _seconds_inside(steps, by_key.values())
    for key, step in steps.items():
        if step.action in ("data", "alias"):
            continue
        row = rows.setdefault(step.name, Row(step.name))
        record = by_key.pop((key, step.name), None)
        if step.action == "run" and step.step_key is None:
            row.uncacheable += 1
        if step.action == "run" and step.miss:
            reasons[step.name, f"run again: {step.miss}"] += 1
        if record is not None:
            _count(row, record, step, inside)
        else:
            _count_planned(row, step, ran=records is not None)
    for record in by_key.values():
        # Steps called inside a task are not in the graph: they are known by their records alone.
        _count(rows.setdefault(record.name, Row(record.name)), record, None, inside)
    for record in records or ():
        if record.note and not record.note.startswith(NOT_KEPT):
            reasons[record.name, record.note] += 1
    ordered = [rows.pop(name) for name in name_order(steps) if name in rows]
    return ordered + list(rows.values()), reasons


def state(step: PlannedStep, record: StepRecord | None = None) -> str:
    """The one state of a step that pictures show: the record's action, else the plan's.

    One of ``"ran"``, ``"loaded"``, ``"cut off"``, ``"not needed"``, ``"in memory"``, ``"uncacheable"``.
    """
    if step.action == "run" and step.step_key is None:
        return "uncacheable"
    if record is not None:
        return record.action
    if step.unread:
        return "not needed"
    return {"load": "loaded", "run": "ran", "pruned": "not needed", "held": "in memory"}[str(step.action)]


def name_order(steps: Steps) -> list[str]:
    """Step names in the order of the work: by the mean depth of their steps in the graph."""
    depths: dict[str, list[int]] = {}
    for key, depth in _depths(steps):
        if steps[key].action not in ("data", "alias"):
            depths.setdefault(steps[key].name, []).append(depth)
    return sorted(depths, key=lambda name: sum(depths[name]) / len(depths[name]))


def _depths(steps: Steps) -> Iterator[tuple[Any, int]]:
    """Every step with the length of the longest chain before it (iterative: chains may be long)."""
    depth: dict[Any, int] = {}
    for start in steps:
        stack = [start]
        while stack:
            key = stack[-1]
            inside = [k for k in steps[key].dependencies if k in steps]
            waiting = [k for k in inside if k not in depth]
            if key not in depth and waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            if key not in depth:
                depth[key] = 1 + max((depth[k] for k in inside), default=-1)
                yield key, depth[key]


def _seconds_inside(steps: Steps, records: Iterable[StepRecord]) -> dict[str, float]:
    """Return the seconds that steps called inside a task or a step took, by the key of their caller."""
    seconds: dict[str, float] = {}
    for record in records:
        if record.key not in steps:
            caller = str(record.key).rpartition("/")[0]
            seconds[caller] = seconds.get(caller, 0.0) + record.seconds
    return seconds


def _count(row: Row, record: StepRecord, step: PlannedStep | None, inside: Mapping[str, float]) -> None:
    """Count what was recorded for one step; what steps inside it took is theirs."""
    row.seconds_spent += max(0.0, record.seconds - inside.get(str(record.key), 0.0))
    row.kept += record.kept
    if record.action == "ran":
        row.ran += 1
        row.bytes_kept += record.nbytes if record.kept else 0
        return
    known = step.info.seconds if step is not None and step.info is not None else 0.0
    row.seconds_saved += max(0.0, (record.saved or known) - record.seconds)
    row.bytes_loaded += record.nbytes
    if record.action == "loaded":
        row.loaded += 1
    else:
        row.cut_off += 1


def _count_planned(row: Row, step: PlannedStep, ran: bool) -> None:
    """Count what is planned for one step; `ran` says that the plan was carried out."""
    if step.action == "run":
        row.ran += 1
        row.kept += step.keep and not step.unkept and not ran
    elif step.action == "pruned" or step.unread:
        row.not_needed += 1
    elif step.action == "load":
        row.loaded += 1
    else:
        row.held += 1
    if step.info is not None and step.action in ("load", "pruned"):
        row.seconds_saved += step.info.seconds
        row.bytes_loaded += step.info.nbytes if step.action == "load" and not step.unread else 0
