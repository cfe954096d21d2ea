"""``cachectl list``: the entries of a store."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any

import click

from cachingclient import units
from cachingclient.cli.options import Filter, filter_options, json_option, store_option
from cachingclient.cli.output import on_terminal, print_json_array, print_table
from cachingclient.storage import EntryInfo, Store

# The keys of sorting, and whether the largest value comes first.
SORTS: dict[str, tuple[Callable[[EntryInfo], Any], bool]] = {
    "created": (lambda info: info.created, True),
    "used": (lambda info: info.last_used or info.created, True),
    "size": (lambda info: info.nbytes, True),
    "seconds": (lambda info: info.seconds, True),
    "step": (lambda info: info.name, False),
    "key": (lambda info: info.key, False),
}


class Count:
    """How many entries went by, and their bytes."""

    def __init__(self) -> None:
        self.entries = self.nbytes = 0

    def over(self, infos: Iterable[EntryInfo]) -> Iterator[EntryInfo]:
        """The same entries, counted."""
        for info in infos:
            self.entries += 1
            self.nbytes += info.nbytes
            yield info

    def __str__(self) -> str:
        return f"{self.entries:,} {'entry' if self.entries == 1 else 'entries'}, {units.size(self.nbytes)}"


@click.command("list")
@store_option
@filter_options
@click.option("--kind", type=click.Choice(["result", "code", "all"]), default="result", help="Results, or code notes.")
@click.option(
    "--sort",
    type=click.Choice([*SORTS, "none"]),
    help="By what. [default: created; used with --limit; none with --json]",
)
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option("--limit", type=click.IntRange(min=0), default=0, help="At most so many; 0 is all.")
@click.option("--damaged", is_flag=True, help="Only the descriptions that can't be read, and why.")
@json_option
def list_entries(
    store: Store, kind: str, sort: str | None, reverse: bool, limit: int, damaged: bool, as_json: bool, **filters: Any
) -> None:
    """List the entries of a store, the newest first.

    With --limit the last used come first, unless --sort says else; they are found without reading the others.
    With --limit or --sort none a store of any size is listed in bounded memory.
    """
    if damaged:
        _list_damaged(store, limit, as_json)
        return
    count = Count()
    sort = sort or ("none" if as_json else "used" if limit else "created")
    meant = Filter(**filters)
    if sort == "used" and limit and meant.any and not reverse:
        infos: Iterable[EntryInfo] = latest(store, kind, limit)
    else:
        entries = chain.from_iterable(outline.entries() for outline in meant.select(store.survey()))
        infos = ordered(count.over(info for info in entries if kind in (info.kind, "all")), sort, reverse, limit)
    now = time.time()
    if as_json:
        print_json_array(as_dict(info, now) for info in infos)
        return
    shown = Count()
    people = on_terminal()
    heads = ["key", "step", "size", "took", "age", "used", "codec"]
    rows = (_row(info, now, short=people) for info in shown.over(infos))
    print_table(heads, rows, left=("key", "step", "codec"))
    if people:
        click.echo(f"{shown} of {count}" if shown.entries < count.entries else str(shown))


def _list_damaged(store: Store, limit: int, as_json: bool) -> None:
    rows = ([problem.name.rpartition("/")[2], problem.what] for problem in islice(store.damaged(), limit or None))
    if as_json:
        print_json_array({"key": key, "problem": what} for key, what in rows)
    else:
        print_table(["key", "problem"], rows, left=("key", "problem"))


def latest(store: Store, kind: str, limit: int) -> list[EntryInfo]:
    """The entries of a kind that were used last, without reading all the others."""
    asked = limit
    while True:
        infos = store.recent(asked)
        meant = [info for info in infos if kind in (info.kind, "all")]
        if len(meant) >= limit or len(infos) < asked:
            return meant[:limit]
        asked *= 4


def ordered(infos: Iterable[EntryInfo], sort: str, reverse: bool, limit: int) -> Iterable[EntryInfo]:
    """The first entries in an order; with a limit no more than that many are held."""
    if sort == "none":
        return islice(infos, limit or None)
    key, largest_first = SORTS[sort]
    descending = largest_first != reverse
    if not limit:
        return sorted(infos, key=key, reverse=descending)
    return heapq.nlargest(limit, infos, key=key) if descending else heapq.nsmallest(limit, infos, key=key)


def as_dict(info: EntryInfo, now: float) -> dict[str, Any]:
    """An entry for JSON, without its details."""
    return {
        "key": info.key,
        "kind": info.kind,
        "step": info.name,
        "codec": info.codec,
        "digest": info.digest,
        "nbytes": info.nbytes,
        "seconds": info.seconds,
        "created": datetime.fromtimestamp(info.created, UTC).isoformat(),
        "age": max(0.0, now - info.created),
        "last_used": datetime.fromtimestamp(info.last_used, UTC).isoformat() if info.last_used else None,
    }


def _row(info: EntryInfo, now: float, short: bool) -> list[str]:
    return [
        info.key[:12] if short else info.key,
        info.name,
        units.size(info.nbytes),
        units.duration(info.seconds),
        units.age(now - info.created),
        units.age(now - info.last_used) if info.last_used else "",
        info.codec,
    ]
