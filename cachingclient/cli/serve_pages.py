"""The pages of ``cachectl serve``. What comes from a store or an address is text: it is escaped where it is put in."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import chain
from urllib.parse import urlencode

from cachingclient import units
from cachingclient.cli.list import SORTS, Count, ordered
from cachingclient.cli.options import Filter
from cachingclient.cli.show import lines_of
from cachingclient.cli.stats import Sums, sum_up
from cachingclient.cli.treemap import treemap
from cachingclient.plan.history import history_of
from cachingclient.storage import EntryInfo, Store
from cachingclient.storage.names import is_name
from cachingclient.units import plain

MOST_ROWS = 200
MOST_RUNS = 50
WIDTH, HEIGHT = 1000, 260
COLOURS = ("#41658c", "#b5651d", "#3f7f3f", "#8a5a80", "#3c7d78", "#8f7a1c", "#7d5b48", "#6b6b6b")
STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 0 auto; max-width: 1000px; padding: 0 1em 3em; color: #222; }
nav { padding: .8em 0; border-bottom: 1px solid #ccc; margin-bottom: 1em; } nav a { margin-right: 1.2em; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .2em .8em .2em 0; }
tr:nth-child(even) td { background: #f5f5f5; } .number { text-align: right; white-space: nowrap; }
.wide { overflow-x: auto; } td { overflow-wrap: anywhere; } td b { white-space: pre; }
code { font-size: 90%; white-space: nowrap; }
form { display: flex; flex-wrap: wrap; gap: .5em 1em; margin: 1em 0; } input { width: 7em; font: inherit; }
svg { width: 100%; height: auto; } svg text { fill: white; font: 13px system-ui, sans-serif; }
"""
Query = Mapping[str, str]


class BadQuery(ValueError):
    """What was asked for is none that there is: the page says what it takes."""


def page(store: Store, title: str, content: str) -> str:
    """Return a whole page."""
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{as_text(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body><nav>'
        f'<a href="/">entries</a><a href="/runs">runs</a><code>{as_text(store.url)}</code></nav>{content}</body></html>'
    )


def entries_page(store: Store, query: Query) -> str:
    """Return the page of entries: sizes by step, filters, and the entries that pass them.

    Raises
    ------
    BadQuery
        If a filter or an order is none.
    """
    meant, sort = _filter(query), query.get("sort") or "created"
    if sort not in SORTS:
        raise BadQuery(f"sort is {sort!r}; it takes {', '.join(SORTS)}")
    outlines = list(meant.select(store.survey()))
    total, _, by_name = sum_up(outlines)
    count = Count()
    infos = chain.from_iterable(outline.entries() for outline in outlines)
    results = count.over(info for info in infos if info.kind == "result")
    shown = list(ordered(results, sort, query.get("reverse") == "1", MOST_ROWS))
    more = f" <small>the first {MOST_ROWS} are shown</small>" if count.entries > len(shown) else ""
    head = f"<h1>{as_text(str(count))}</h1><p>that took {units.duration(total.seconds)} to compute{more}</p>"
    content = head + _map(by_name) + _form(query) + _entries(shown, query, sort)
    return page(store, "entries", content)


def entry_page(store: Store, key: str) -> str | None:
    """Return the page of one entry; None if there is none of that key."""
    info = store.find([key]).get(key) if is_name(key) else None
    if info is None:
        return None
    rows = [(f"<b>{as_text(label)}</b>", as_text(text)) for label, text in lines_of(info, store, time.time())]
    return page(store, info.name, f"<h1>{as_text(info.name)}</h1>{_table((), rows)}")


def runs_page(store: Store) -> str:
    """Return the page of what was run with the store, the last run first."""
    rows = []
    for run in list(history_of(store))[: -MOST_RUNS - 1 : -1]:
        numbers = (f"{run.steps:,}", f"{run.ran:,}", f"{run.loaded:,}", units.duration(run.spent))
        because = "; ".join(dict.fromkeys(run.because.values()))
        rows.append((f"<code>{as_text(run.name)}</code>", *numbers, units.duration(run.saved), as_text(because)))
    heads = ("run", "steps", "ran", "loaded", "spent", "saved", "because")
    content = _table(heads, rows, numbers=range(1, 6)) if rows else "<p>No runs are remembered.</p>"
    return page(store, "runs", f"<h1>Runs</h1>{content}")


def _filter(query: Query) -> Filter:
    try:
        ages = {name: units.parse_age(query[name]) for name in ("older", "newer") if query.get(name)}
        sizes = {name: units.parse_size(query[name]) for name in ("larger", "smaller") if query.get(name)}
    except ValueError as error:
        raise BadQuery(str(error)) from error
    steps = (query["step"],) if query.get("step") else ()
    return Filter(steps, ages.get("older"), ages.get("newer"), sizes.get("larger"), sizes.get("smaller"))


def _form(query: Query) -> str:
    fields = [("step", "select*"), ("older", "30d"), ("newer", "2h"), ("larger", "10MB"), ("smaller", "1GB")]
    inputs = "".join(
        f'<label>{name} <input name="{name}" placeholder="{hint}" value="{as_text(query.get(name, ""))}"></label>'
        for name, hint in fields
    )
    return f'<form action="/">{inputs}<button>filter</button></form>'


def _entries(infos: Iterable[EntryInfo], query: Query, sort: str) -> str:
    now = time.time()
    columns = {"key": "key", "step": "step", "size": "size", "took": "seconds", "age": "created", "used": "used"}
    heads = []
    for title, by in columns.items():
        turned = {"reverse": "1"} if by == sort and query.get("reverse") != "1" else {}
        rest = {name: value for name, value in query.items() if name != "reverse"}
        heads.append(f'<a href="/?{as_text(urlencode({**rest, "sort": by, **turned}))}">{title}</a>')
    rows = [
        (
            f'<a href="/entry/{as_text(info.key)}"><code>{as_text(info.key[:12])}</code></a>',
            as_text(info.name),
            units.size(info.nbytes),
            units.duration(info.seconds),
            units.age(now - info.created),
            units.age(now - info.last_used) if info.last_used else "",
        )
        for info in infos
    ]
    return _table(heads, rows, numbers=range(2, 6))


def _map(by_name: Mapping[str, Sums]) -> str:
    """Return sizes by step as areas; each leads to the entries of its step."""
    names = sorted(by_name, key=lambda name: -by_name[name].nbytes)
    boxes = []
    for box in treemap([by_name[name].nbytes for name in names], WIDTH, HEIGHT):
        name, sums = names[box.number], by_name[names[box.number]]
        told = f"{name}: {units.size(sums.nbytes)}, {sums.entries:,} {'entry' if sums.entries == 1 else 'entries'}"
        place = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
        colour = COLOURS[box.number % len(COLOURS)]
        text = f'<text x="{box.x + 6:.1f}" y="{box.y + 18:.1f}">{as_text(name[: int(box.width / 8)])}</text>'
        label = text if box.height > 24 and box.width > 40 else ""
        link = as_text(f"/?{urlencode({'step': _as_glob(name)})}")
        title = f"<title>{as_text(told)}</title>"
        boxes.append(f'<a href="{link}"><rect {place} fill="{colour}" stroke="white">{title}</rect>{label}</a>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(boxes)}</svg>' if boxes else ""


def _as_glob(name: str) -> str:
    return "".join(f"[{each}]" if each in "*?[" else each for each in name)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: range = range(0)) -> str:
    """Return a table of cells that are HTML already."""

    def line(cells: Sequence[str], tag: str) -> str:
        put = (f"<{tag}{_class(number, numbers)}>{cell}</{tag}>" for number, cell in enumerate(cells))
        return f"<tr>{''.join(put)}</tr>"

    top = line(heads, "th") if heads else ""
    return f'<div class="wide"><table>{top}{"".join(line(row, "td") for row in rows)}</table></div>'


def _class(number: int, numbers: range) -> str:
    return ' class="number"' if number in numbers else ""


def as_text(text: str) -> str:
    """Return a text that is nothing but text in HTML, in attributes too.

    Examples
    --------
    >>> as_text('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return escape(plain(text), quote=True)
