"""``cachectl stats``: the entries of a store, in sums."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from cachingclient import units
from cachingclient.cli.json_lines import json_lines
from cachingclient.cli.options import Filter, filter_options, json_option, store_option
from cachingclient.cli.output import print_json, print_table
from cachingclient.cli.prometheus import exposition
from cachingclient.plan.pruned import pruned_of
from cachingclient.storage import Store
from cachingclient.storage import stats as store_totals
from cachingclient.storage.columns import Outline


@dataclass(slots=True)
class Sums:
    """Sums over entries."""

    entries: int = 0
    nbytes: int = 0
    seconds: float = 0.0
    oldest: float = float("inf")
    newest: float = 0.0
    last_used: float = 0.0

    def add(self, rows: npt.NDArray[Any]) -> None:
        """Count entries."""
        if len(rows):
            self.entries += len(rows)
            self.nbytes += int(rows["nbytes"].sum())
            self.seconds += float(rows["seconds"].sum())
            self.oldest = min(self.oldest, float(rows["created"].min()))
            self.newest = max(self.newest, float(rows["created"].max()))
            self.last_used = max(self.last_used, float(rows["used"].max()))


@click.command()
@store_option
@filter_options
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="So many names, by size.")
@click.option("--totals", is_flag=True, help="Only the files and bytes of each sort, without reading any entry.")
@click.option("--prometheus", is_flag=True, help="In Prometheus' text format, all names.")
@click.option("--json-lines", "lines", is_flag=True, help="As lines of JSON with a time, all names, for OpenSearch.")
@json_option
def stats(store: Store, limit: int, totals: bool, prometheus: bool, lines: bool, as_json: bool, **filters: Any) -> None:
    """Sum up the entries of a store, by step name."""
    meant = Filter(**filters)
    for name, chosen, others in (
        ("--prometheus", prometheus, totals or as_json or lines),
        ("--json-lines", lines, totals or as_json),
    ):
        if chosen and others:
            raise click.UsageError(f"{name} is a format of its own: without --totals and other formats")
    if totals:
        if not meant.any:
            raise click.UsageError("--totals looks at no entry, so it can't filter them")
        _print_totals(store, as_json)
        return
    total, notes, by_name = sum_up(meant.select(store.survey(times=as_json or lines)))  # the table has no times of use
    damaged = sum(1 for _ in store.damaged())
    names = sorted(by_name, key=lambda name: by_name[name].nbytes, reverse=True)
    steps = {name: _as_dict(by_name[name]) for name in names}
    if prometheus:
        click.echo(exposition(store.url, steps, pruned_of(store)))
        return
    if lines:
        click.echo(json_lines(store.url, steps, pruned_of(store), time.time()))
        return
    if as_json:
        print_json(
            {
                "store": store.url,
                "results": _as_dict(total),
                "code_notes": _as_dict(notes),
                "damaged": damaged,
                "steps": steps,
            }
        )
        return
    now = time.time()
    click.echo(
        f"{store.url}: {total.entries:,} results, {units.size(total.nbytes)}, that took "
        f"{units.duration(total.seconds)} to compute"
    )
    if notes.entries:
        click.echo(f"{notes.entries:,} code notes, {units.size(notes.nbytes)}")
    if damaged:
        click.echo(f"{damaged:,} descriptions can't be read: list --damaged shows them, purge --damaged removes them")
    if total.entries:
        click.echo(f"oldest {units.age(now - total.oldest)}, newest {units.age(now - total.newest)}")
        heads = ["step", "entries", "size", "took", "oldest", "newest"]
        print_table(heads, [_row(name, by_name[name], now) for name in names[:limit]], left=("step",))
    if len(names) > limit:
        click.echo(f"and {len(names) - limit:,} more names (--limit)")


def sum_up(outlines: Iterable[Outline]) -> tuple[Sums, Sums, dict[str, Sums]]:
    """Return the sums over results, over notes of code, and over results by step name."""
    total, notes = Sums(), Sums()
    by_name: dict[str, Sums] = {}
    for outline in outlines:
        for number in np.unique(outline.rows["sort"]).tolist():
            kind, name, _ = outline.sorts[number]
            rows = outline.rows[outline.rows["sort"] == number]
            if kind != "result":
                notes.add(rows)
                continue
            total.add(rows)
            by_name.setdefault(name, Sums()).add(rows)
    return total, notes, by_name


def _print_totals(store: Store, as_json: bool) -> None:
    counted = store_totals(store)
    if as_json:
        print_json(counted)
        return
    click.echo(store.url + (" (read-only here)" if store.read_only else ""))
    rows = [
        [name, f"{part['files']:,}", units.size(part["bytes"])]
        for name, part in counted.items()
        if isinstance(part, dict)
    ]
    print_table(["sort", "files", "size"], rows, left=("sort",))


def _as_dict(sums: Sums) -> dict[str, Any]:
    return {name: value if sums.entries else 0 for name, value in asdict(sums).items()}


def _row(name: str, sums: Sums, now: float) -> list[str]:
    return [
        name,
        f"{sums.entries:,}",
        units.size(sums.nbytes),
        units.duration(sums.seconds),
        units.age(now - sums.oldest),
        units.age(now - sums.newest),
    ]
