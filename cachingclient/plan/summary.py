"""What a plan will do, or what a run did, in numbers: a headline, a table by step name, and the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

from cachingclient import units
from cachingclient.plan.counts import Row, Steps, count, total
from cachingclient.plan.record import StepRecord
from cachingclient.plan.table import STYLE, html_table, text_table
from cachingclient.plan.unkept import Reason, why_not_kept

MOST_LETTERS = 60
"""Longer reasons are cut in the table, and written out below it."""
_NOTHING: Mapping[str, str] = {}
MOST_REASONS = 12
"""More reasons than these are counted, not written out."""


@dataclass(slots=True)
class Summary:
    """Counts by step name, in the order of the work, with the reasons why something was not kept.

    Parameters
    ----------
    rows
        One `Row` a step name.
    reasons
        How often each ``(step name, remark)`` came up.
    unkept
        For each step name why results were not kept.
    because
        For each step name why its steps run.
    planned
        True for what would happen, False for what did.
    at_least
        Whether `seconds_saved` leaves out steps whose run time nobody knows.
    footnote
        A line on planning and the store.
    """

    rows: list[Row]
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    unkept: Mapping[str, tuple[Reason, ...]] = field(default_factory=dict)
    because: Mapping[str, str] = field(default_factory=dict)
    planned: bool = False
    at_least: bool = False
    footnote: str = ""

    @property
    def total(self) -> Row:
        """The sum of all rows."""
        return total(self.rows)

    @property
    def headline(self) -> str:
        """One line: what ran, was loaded and was not needed, and what that saved."""
        whole = self.total
        parts = [f"{whole.ran:,} of {whole.steps:,} steps {'to run' if self.planned else 'ran'}"]
        others = [
            (whole.loaded, "to load" if self.planned else "loaded"),
            (whole.cut_off, "found by content"),
            (whole.not_needed, "not needed"),
            (whole.held, "in memory"),
        ]
        parts += [f"{number:,} {state}" for number, state in others if number]
        line = ", ".join(parts)
        about = "at least" if self.at_least else "about"
        if self.planned:
            return f"{line}; saves {about} {units.duration(whole.seconds_saved)}" if whole.seconds_saved else line
        line = f"{line}; {units.duration(whole.seconds_spent)}"
        if not whole.seconds_saved:
            return line
        return f"{line} instead of {about} {units.duration(whole.seconds_spent + whole.seconds_saved)}"

    def to_dict(self) -> dict[str, Any]:
        """Everything that is shown, JSON-able."""
        return {
            "headline": self.headline,
            "planned": self.planned,
            "steps": self.total.steps,
            "total": asdict(self.total),
            "rows": [asdict(row) for row in self.rows],
            "reasons": [
                {"name": name, "reason": reason, "count": number}
                for (name, reason), number in self.reasons.most_common()
            ],
            "not_kept": [
                {"name": name, "reason": reason.text, "count": reason.count, "advice": reason.advice}
                for name, reasons in self.unkept.items()
                for reason in reasons
            ],
            "because": dict(self.because),
            "footnote": self.footnote,
        }

    def __str__(self) -> str:
        lines = [
            self.headline,
            *text_table(self.rows, self.planned, self._in_table()),
            *self._told_reasons(),
            self.footnote,
        ]
        return "\n".join(line for line in lines if line)

    def _repr_html_(self) -> str:
        reasons = "".join(f"<div>{escape(line)}</div>" for line in self._told_reasons())
        footnote = "".join(f"<div>{escape(line)}</div>" for line in self.footnote.splitlines())
        return (
            f'<div class="cachingclient-report">{STYLE}<p><b>{escape(self.headline)}</b></p>'
            f"{html_table(self.rows, self.planned, self._in_table())}"
            f"<small>{reasons}{footnote}</small></div>"
        )

    def _in_table(self) -> dict[str, dict[str, str]]:
        """Return what the table says of why steps run, and of why their results were not kept, by step name."""
        because = {name: shortened(reason) for name, reason in self.because.items()}
        unkept = {name: shortened(reasons[0].text) for name, reasons in self.unkept.items()}
        titles = ("runs because", "won't be kept because") if self.planned else ("ran because", "not kept because")
        return {title: told for title, told in zip(titles, (because, unkept), strict=True) if told}

    def _told_reasons(self) -> Iterator[str]:
        """Yield a line for each of the most frequent remarks and reasons that the table has no room for, and advice."""
        told = Counter(self.reasons)
        for name, reasons in self.unkept.items():
            rest = reasons[1:] if shortened(reasons[0].text) == reasons[0].text else reasons
            told.update({(name, f"not kept: {reason.text}"): reason.count for reason in rest})
        yield from (f"{name} runs again: {text}" for name, text in self.because.items() if text != shortened(text))
        for (name, reason), number in told.most_common(MOST_REASONS):
            yield f"{name}{f' ({number:,} steps)' if number > 1 else ''}: {reason}"
        left = len(told) - MOST_REASONS
        if left > 0:
            yield f"and {left:,} more reasons"
        yield from dict.fromkeys(
            f"to keep more: {reason.advice}" for reasons in self.unkept.values() for reason in reasons if reason.advice
        )


def shortened(reason: str) -> str:
    """Return a reason as a table has room for it.

    Examples
    --------
    >>> shortened("quick to run (6 us)")
    'quick to run (6 us)'
    """
    return reason if len(reason) <= MOST_LETTERS else f"{reason[: MOST_LETTERS - 3]}..."


def summarise(
    steps: Steps, records: Collection[StepRecord] | None = None, because: Mapping[str, str] = _NOTHING
) -> Summary:
    """Return the summary of the steps of a plan, and of what was recorded if they have run.

    Parameters
    ----------
    steps
        The steps of a plan, by their keys in the graph.
    records
        None for a plan that has not run: the counts are then what would happen.
    because
        For each step name why its steps run, where that is known.

    Examples
    --------
    >>> print(summarise({}))
    0 of 0 steps to run
    """
    rows, reasons = count(steps, records)
    at_least = any(step.action == "pruned" and step.info is None for step in steps.values())
    unkept = why_not_kept(steps, records)
    return Summary(rows, reasons, unkept, because, planned=records is None, at_least=at_least)
