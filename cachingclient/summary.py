"""A plan and the workers' records folded into counts by step name; `tables` and `picture` draw them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from cachingclient import human

if TYPE_CHECKING:
    from cachingclient.plan import Plan, PlannedStep
    from cachingclient.report import StepRecord


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


@dataclass(slots=True)
class Summary:
    """Counts by step name, in the order of the work, with the reasons why something was not kept.

    Parameters
    ----------
    rows
        One `Row` a step name.
    reasons
        How often each ``(step name, reason)`` came up.
    planned
        True for what would happen, False for what did.
    at_least
        Whether `seconds_saved` leaves out steps whose run time nobody knows.
    footnote
        A line on planning and the store.
    """

    rows: list[Row]
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    planned: bool = False
    at_least: bool = False
    footnote: str = ""

    @property
    def total(self) -> Row:
        """The sum of all rows."""
        names = [name for name in Row.__dataclass_fields__ if name != "name"]
        return Row("total", **{name: sum(getattr(row, name) for row in self.rows) for name in names})

    @property
    def headline(self) -> str:
        """One line: what ran, was loaded and was not needed, and what that saved."""
        total = self.total
        parts = [f"{total.ran:,} of {total.steps:,} steps {'to run' if self.planned else 'ran'}"]
        told = [
            (total.loaded, "to load" if self.planned else "loaded"),
            (total.cut_off, "found by content"),
            (total.not_needed, "not needed"),
            (total.held, "in memory"),
        ]
        parts += [f"{count:,} {what}" for count, what in told if count]
        line = ", ".join(parts)
        about = "at least" if self.at_least else "about"
        if self.planned:
            return f"{line}; saves {about} {human.duration(total.seconds_saved)}" if total.seconds_saved else line
        line = f"{line}; {human.duration(total.seconds_spent)}"
        if not total.seconds_saved:
            return line
        return f"{line} instead of {about} {human.duration(total.seconds_spent + total.seconds_saved)}"

    def to_dict(self) -> dict[str, Any]:
        """Everything that is shown, JSON-able."""
        return {
            "headline": self.headline,
            "planned": self.planned,
            "steps": self.total.steps,
            "total": asdict(self.total),
            "rows": [asdict(row) for row in self.rows],
            "reasons": [
                {"name": name, "reason": reason, "count": count} for (name, reason), count in self.reasons.most_common()
            ],
            "footnote": self.footnote,
        }

    def __str__(self) -> str:
        from cachingclient.tables import to_text

        return to_text(self)

    def _repr_html_(self) -> str:
        from cachingclient.tables import to_html

        return to_html(self)


def summarise(plan: Plan, records: Iterable[StepRecord] | None = None) -> Summary:
    """Fold a plan, and what was recorded if it has run, into counts by step name.

    Parameters
    ----------
    plan
        The plan.
    records
        None for a plan that has not run: the counts are then what would happen.
    """
    rows: dict[str, Row] = {}
    reasons: Counter[tuple[str, str]] = Counter()
    at_least = False
    by_key = {(record.key, record.name): record for record in records or ()}
    inside = _seconds_inside(plan, by_key.values())
    for key, step in plan.steps.items():
        if step.action in ("data", "alias"):
            continue
        row = rows.setdefault(step.name, Row(step.name))
        record = by_key.pop((key, step.name), None)
        if step.action == "run" and step.step_key is None:
            row.uncacheable += 1
            reasons[step.name, step.reason or "uncacheable"] += 1
        at_least |= step.action == "pruned" and step.info is None
        if record is not None:
            _count(row, record, step, inside)
        else:
            _count_planned(row, step, ran=records is not None)
    for record in by_key.values():
        # Steps called inside a task are not in the graph: they are known by their records alone.
        _count(rows.setdefault(record.name, Row(record.name)), record, None, inside)
    for record in records or ():
        if record.note:
            reasons[record.name, record.note] += 1
    ordered = [rows.pop(name) for name in name_order(plan) if name in rows]
    return Summary(ordered + list(rows.values()), reasons, planned=records is None, at_least=at_least)


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


def name_order(plan: Plan) -> list[str]:
    """Step names in the order of the work: by the mean depth of their steps in the graph."""
    depths: dict[str, list[int]] = {}
    for key, depth in _depths(plan):
        if plan.steps[key].action not in ("data", "alias"):
            depths.setdefault(plan.steps[key].name, []).append(depth)
    return sorted(depths, key=lambda name: sum(depths[name]) / len(depths[name]))


def _depths(plan: Plan) -> Iterator[tuple[Any, int]]:
    """Every step with the length of the longest chain before it (iterative: chains may be long)."""
    depth: dict[Any, int] = {}
    for start in plan.steps:
        stack = [start]
        while stack:
            key = stack[-1]
            inside = [k for k in plan.steps[key].dependencies if k in plan.steps]
            waiting = [k for k in inside if k not in depth]
            if key not in depth and waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            if key not in depth:
                depth[key] = 1 + max((depth[k] for k in inside), default=-1)
                yield key, depth[key]


def _seconds_inside(plan: Plan, records: Iterable[StepRecord]) -> dict[str, float]:
    """Return the seconds that steps called inside a task or a step took, by the key of their caller."""
    seconds: dict[str, float] = {}
    for record in records:
        if record.key not in plan.steps:
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
        row.kept += step.keep and not ran
    elif step.action == "pruned" or step.unread:
        row.not_needed += 1
    elif step.action == "load":
        row.loaded += 1
    else:
        row.held += 1
    if step.info is not None and step.action in ("load", "pruned"):
        row.seconds_saved += step.info.seconds
        row.bytes_loaded += step.info.nbytes if step.action == "load" and not step.unread else 0
