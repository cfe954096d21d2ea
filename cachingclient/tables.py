"""A `Summary` as text for a terminal and as HTML for a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from io import StringIO
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cachingclient import human
from cachingclient.summary import Row, Summary

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
MOST_REASONS = 12


class Column(NamedTuple):
    """One column of the table; one that has nothing to show in any row is left out."""

    done: str
    planned: str
    value: Callable[[Row], float]
    show: Callable[[float], str] = lambda value: f"{value:,.0f}"


COLUMNS = (
    Column("ran", "run", lambda row: row.ran),
    Column("loaded", "load", lambda row: row.loaded),
    Column("by content", "", lambda row: row.cut_off),
    Column("not needed", "not needed", lambda row: row.not_needed),
    Column("in memory", "in memory", lambda row: row.held),
    Column("kept", "keep", lambda row: row.kept),
    Column("uncacheable", "uncacheable", lambda row: row.uncacheable),
    Column("read", "read", lambda row: row.bytes_loaded, human.size),
    Column("written", "", lambda row: row.bytes_kept, human.size),
    Column("spent", "", lambda row: row.seconds_spent, human.duration),
    Column("saved", "saved", lambda row: row.seconds_saved, human.duration),
)


def to_text(summary: Summary) -> str:
    """The headline, the table, the reasons and the footnote as plain text, with nothing wrapped or cut."""
    console = Console(file=StringIO(), width=1000, color_system=None)
    with console.capture() as capture:
        console.print(_table(summary))
    table = [line.rstrip() for line in capture.get().splitlines()] if summary.rows else []
    lines = [summary.headline, *table, *_reasons(summary), summary.footnote]
    return "\n".join(line for line in lines if line)


def to_html(summary: Summary) -> str:
    """The same as HTML that needs nothing else and takes its text colour from the page, light or dark."""
    columns = _columns(summary)
    heads = "".join(f"<th>{_title(column, summary)}</th>" for column in columns)
    rows = "".join(_html_row(row, columns) for row in _shown(summary))
    total = _html_row(summary.total, columns) if len(summary.rows) > 1 else ""
    reasons = "".join(f"<div>{escape(line)}</div>" for line in _reasons(summary))
    head = f"<thead><tr><th></th><th></th>{heads}</tr></thead>"
    table = f"<table>{head}<tbody>{rows}</tbody><tfoot>{total}</tfoot></table>"
    return (
        f'<div class="cachingclient-report">{_STYLE}<p><b>{escape(summary.headline)}</b></p>'
        f"{table if summary.rows else ''}{_legend(summary) if summary.rows else ''}"
        f"<small>{reasons}<div>{escape(summary.footnote)}</div></small></div>"
    )


_STYLE = """<style>
.cachingclient-report table {border-collapse: collapse; color: inherit; background: transparent;}
.cachingclient-report th, .cachingclient-report td {padding: 2px 10px; text-align: right; border: 0;
  color: inherit; background: transparent; font-variant-numeric: tabular-nums;}
.cachingclient-report th:first-child, .cachingclient-report td:first-child {text-align: left;}
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


def _columns(summary: Summary) -> list[Column]:
    total = summary.total
    return [column for column in COLUMNS if _title(column, summary) and column.value(total)]


def _title(column: Column, summary: Summary) -> str:
    return column.planned if summary.planned else column.done


def _cell(column: Column, row: Row) -> str:
    value = column.value(row)
    return column.show(value) if value else ""


def _shown(summary: Summary) -> list[Row]:
    """All rows, or the largest with the others folded into one: a table is to be read."""
    if len(summary.rows) <= MOST_ROWS:
        return summary.rows
    largest = sorted(summary.rows, key=lambda row: (-row.seconds_spent, -row.steps))[: MOST_ROWS - 1]
    names = {row.name for row in largest}
    others = Summary([row for row in summary.rows if row.name not in names])
    folded = others.total
    folded.name = f"{len(others.rows):,} other names"
    return [row for row in summary.rows if row.name in names] + [folded]


def _table(summary: Summary) -> Table:
    columns = _columns(summary)
    table = Table(box=None, pad_edge=False, show_footer=len(summary.rows) > 1)
    table.add_column("step", footer="total", no_wrap=True)
    total = summary.total
    for column in columns:
        table.add_column(
            _title(column, summary),
            footer=_cell(column, total),
            justify="right",
            no_wrap=True,
            footer_style="bold",
        )
    for row in _shown(summary):
        table.add_row(Text(row.name), *(_cell(column, row) for column in columns))
    return table


def _reasons(summary: Summary) -> Iterator[str]:
    for (name, reason), count in summary.reasons.most_common(MOST_REASONS):
        yield f"{name}{f' ({count:,} steps)' if count > 1 else ''}: {reason}"
    left = len(summary.reasons) - MOST_REASONS
    if left > 0:
        yield f"and {left:,} more reasons"


def _html_row(row: Row, columns: list[Column]) -> str:
    cells = "".join(f"<td>{_cell(column, row)}</td>" for column in columns)
    return f"<tr><td>{escape(row.name)}</td><td>{_bar(row)}</td>{cells}</tr>"


def _bar(row: Row) -> str:
    parts = "".join(
        f'<span style="flex:{count};background:{COLOURS[state]}" title="{count:,} {state_title(state)}"></span>'
        for state, count in shares(row).items()
    )
    return f'<div class="bar">{parts}</div>'


def _legend(summary: Summary) -> str:
    chips = "".join(
        f'<span class="chip" style="background:{COLOURS[state]}"></span>{state_title(state, summary.planned)}'
        for state in shares(summary.total)
    )
    return f"<small>{chips}</small>"
