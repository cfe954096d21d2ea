"""``cachectl purge``: remove entries for good."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from cachingclient import units
from cachingclient.cli.main import Unreachable
from cachingclient.cli.options import Filter, filter_options, json_option, store_option
from cachingclient.cli.output import print_json
from cachingclient.storage import Store

KINDS = {"result": ("result", "results"), "code": ("code note", "code notes")}


@click.command()
@store_option
@filter_options
@click.option("--damaged", is_flag=True, help="Only descriptions that can't be read; filters don't count.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@json_option
@click.pass_context
def purge(
    ctx: click.Context, /, store: Store, damaged: bool, yes: bool, dry_run: bool, as_json: bool, **filters: Any
) -> None:
    """Remove results for good: all entries that pass the filters, and everything without any filter.

    Asks first. A step that is removed runs again when it is next needed.
    """
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json can't ask: give --yes or --dry-run with it")
    if store.read_only and not dry_run:
        raise Unreachable(f"nothing can be removed: store {store.url} is read-only here")
    if damaged:
        _purge_damaged(ctx, store, yes, dry_run, as_json)
        return
    meant = Filter(**filters)
    kinds: Counter[str] = Counter()
    keys: list[str] = []
    nbytes = 0
    for outline in meant.select(store.survey(times=False)):
        keys += outline.all_keys()
        kinds.update(outline.sorts[number][0] for number in outline.rows["sort"].tolist())
        nbytes += int(outline.rows["nbytes"].sum())
    what = f"{'all ' if meant.any else ''}{_counted(kinds)} ({units.size(nbytes)})"
    if keys and not (yes or dry_run) and not click.confirm(f"Remove {what} from {store.url}?"):
        click.echo("Nothing was removed.")
        ctx.exit(1)
    freed = 0 if dry_run else store.delete(keys)
    left = 0 if dry_run else len(store.find(keys))
    if as_json:
        print_json({"dry_run": dry_run, "entries": len(keys), "nbytes": nbytes, "freed": freed, "left": left})
    elif dry_run:
        click.echo(f"Would remove {what} from {store.url}.")
    else:
        click.echo(f"Removed {what} from {store.url}: {units.size(freed)} freed.")
    if left:
        click.echo(f"Warning: {left:,} of them are still there.", err=True)
        ctx.exit(1)


def _purge_damaged(ctx: click.Context, store: Store, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Remove what should be a description and is none."""
    count = sum(1 for _ in store.damaged())
    what = f"{count:,} descriptions that can't be read"
    if count and not (yes or dry_run) and not click.confirm(f"Remove {what} from {store.url}?"):
        click.echo("Nothing was removed.")
        ctx.exit(1)
    removed = 0 if dry_run else store.remove_damaged()
    if as_json:
        print_json({"dry_run": dry_run, "damaged": count, "removed": removed})
    else:
        click.echo(f"Would remove {what} from {store.url}." if dry_run else f"Removed {removed:,} of {what}.")


def _counted(kinds: Counter[str]) -> str:
    """``3 results and 1 code note``."""
    parts = []
    for kind, count in sorted(kinds.items(), reverse=True):
        one, many = KINDS.get(kind, (kind, kind))
        parts.append(f"{count:,} {one if count == 1 else many}")
    return " and ".join(parts) or "0 results"
