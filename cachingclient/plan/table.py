"""Counts by step name as a table: text for a terminal, HTML for a notebook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from io import StringIO
from typing import NamedTuple

from cachingclient import units
from cachingclient.plan.counts import Row, total

# Colours that colour-blind readers tell apart and that stand out on white and on black.
COLOURS = {
    "ran": "#e69f00",
    "loaded": "#3d8fd1",
    "cut off": "#1aa37a",
    "not needed": "#9a9a9a",
    "in memory": "#a28bd4",
    "uncacheable": "#d5502a",
}
MOST_ROWS = 60


class Column(NamedTuple):
    """One column of the table; one that has nothing to show in any row is left out."""

    of_a_run: str
    of_a_plan: str
    value: Callable[[Row], float]
    show: Callable[[float], str] = lambda value: f"{value:,.0f}"

    def title(self, planned: bool) -> str:
        """Return the head of the column for a plan or a run; empty where it has no such column."""
        return self.of_a_plan if planned else self.of_a_run

    def cell(self, row: Row) -> str:
        """Return the text of one row in this column; empty for 0."""
        value = self.value(row)
        return self.show(value) if value else ""


COLUMNS = (
    Column("ran", "run", lambda row: row.ran),
    Column("loaded", "load", lambda row: row.loaded),
    Column("by content", "", lambda row: row.cut_off),
    Column("not needed", "not needed", lambda row: row.not_needed),
    Column("in memory", "in memory", lambda row: row.held),
    Column("kept", "may keep", lambda row: row.kept),
    Column("uncacheable", "uncacheable", lambda row: row.uncacheable),
    Column("read", "read", lambda row: row.bytes_loaded, units.size),
    Column("written", "", lambda row: row.bytes_kept, units.size),
    Column("spent", "", lambda row: row.seconds_spent, units.duration),
    Column("saved", "saved", lambda row: row.seconds_saved, units.duration),
)


Reasons = Mapping[str, Mapping[str, str]]
"""Columns with reasons: for each title what stands there for step names."""


def text_table(rows: list[Row], planned: bool, reasons: Reasons) -> list[str]:
    """Return the lines of the table as plain text, with nothing wrapped or cut; none without rows.

    Parameters
    ----------
    rows, planned
        The counts, and whether they are of a plan.
    reasons
        Why steps run and why results were not kept.
    """
    from rich.console import Console  # only those who print a table wait for it
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return []
    whole = total(rows)
    table = Table(box=None, pad_edge=False, show_footer=len(rows) > 1)
    table.add_column("step", footer="total", no_wrap=True)
    columns = _columns(whole, planned)
    for column in columns:
        title, footer = column.title(planned), column.cell(whole)
        table.add_column(title, footer=footer, justify="right", no_wrap=True, footer_style="bold")
    for title in reasons:
        table.add_column(title, no_wrap=True)
    for row in _shown(rows):
        why = [Text(told.get(row.name, "")) for told in reasons.values()]
        table.add_row(Text(row.name), *(column.cell(row) for column in columns), *why)
    console = Console(file=StringIO(), width=1000, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]


def html_table(rows: list[Row], planned: bool, reasons: Reasons) -> str:
    """Return the table and its legend as HTML; it takes its text colour from the page, light or dark."""
    if not rows:
        return ""
    whole = total(rows)
    columns = _columns(whole, planned)
    heads = "".join(f"<th>{column.title(planned)}</th>" for column in columns)
    heads += "".join(f'<th class="why">{escape(title)}</th>' for title in reasons)
    body = "".join(_html_row(row, columns, reasons) for row in _shown(rows))
    foot = _html_row(whole, columns, {}) if len(rows) > 1 else ""
    head = f"<thead><tr><th></th><th></th>{heads}</tr></thead>"
    return f"<table>{head}<tbody>{body}</tbody><tfoot>{foot}</tfoot></table>{_legend(whole, planned)}"


STYLE = """<style>
.cachingclient-report table {border-collapse: collapse; color: inherit; background: transparent;}
.cachingclient-report th, .cachingclient-report td {padding: 2px 10px; text-align: right; border: 0;
  color: inherit; background: transparent; font-variant-numeric: tabular-nums; white-space: nowrap;}
.cachingclient-report th:first-child, .cachingclient-report td:first-child, .cachingclient-report .why
  {text-align: left;}
.cachingclient-report .why {white-space: normal; min-width: 12em;}
.cachingclient-report thead th {border-bottom: 1px solid #8888;}
.cachingclient-report tfoot td {border-top: 1px solid #8888; font-weight: bold;}
.cachingclient-report .bar {display: flex; width: 90px; height: 10px; border-radius: 3px; overflow: hidden;}
.cachingclient-report .chip {display: inline-block; width: 10px; height: 10px; border-radius: 3px;
  margin: 0 4px 0 10px;}
.cachingclient-report small {opacity: 0.75;}
</style>"""


def shares(row: Row) -> dict[str, int]:
    """The steps of a row by their one state, in the order of `COLOURS`; only what there is."""
    counts = {
        "ran": row.ran - row.uncacheable,
        "loaded": row.loaded,
        "cut off": row.cut_off,
        "not needed": row.not_needed,
        "in memory": row.held,
        "uncacheable": row.uncacheable,
    }
    return {state: count for state, count in counts.items() if count > 0}


def state_title(state: str, planned: bool = False) -> str:
    """What a state is called in a legend."""
    names = {"cut off": "found by content"}
    if planned:
        names |= {"ran": "to run", "loaded": "to load"}
    return names.get(state, state)


def _columns(whole: Row, planned: bool) -> list[Column]:
    """Return the columns that have something to show."""
    return [column for column in COLUMNS if column.title(planned) and column.value(whole)]


def _shown(rows: list[Row]) -> list[Row]:
    """Return all rows, or the largest and one that stands for the others: a table is to be read."""
    if len(rows) <= MOST_ROWS:
        return rows
    largest = sorted(rows, key=lambda row: (-row.seconds_spent, -row.steps))[: MOST_ROWS - 1]
    names = {row.name for row in largest}
    others = [row for row in rows if row.name not in names]
    folded = total(others)
    folded.name = f"{len(others):,} other names"
    return [row for row in rows if row.name in names] + [folded]


def _html_row(row: Row, columns: list[Column], reasons: Reasons) -> str:
    cells = "".join(f"<td>{column.cell(row)}</td>" for column in columns)
    cells += "".join(f'<td class="why">{escape(told.get(row.name, ""))}</td>' for told in reasons.values())
    return f"<tr><td>{escape(row.name)}</td><td>{_bar(row)}</td>{cells}</tr>"


def _bar(row: Row) -> str:
    parts = "".join(
        f'<span style="flex:{count};background:{COLOURS[state]}" title="{count:,} {state_title(state)}"></span>'
        for state, count in shares(row).items()
    )
    return f'<div class="bar">{parts}</div>'


def _legend(whole: Row, planned: bool) -> str:
    chips = "".join(
        f'<span class="chip" style="background:{COLOURS[state]}"></span>{state_title(state, planned)}'
        for state in shares(whole)
    )
    return f"<small>{chips}</small>"
