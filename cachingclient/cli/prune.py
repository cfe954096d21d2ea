"""``cachectl prune``: make room, the least recently used first."""

from __future__ import annotations

from dataclasses import asdict

import click

from cachingclient import config, units
from cachingclient.cli.main import Unreachable
from cachingclient.cli.options import Age, Size, json_option, store_option
from cachingclient.cli.output import print_json
from cachingclient.plan.pruned import remember_pruning
from cachingclient.storage import PruneReport, Store
from cachingclient.storage import prune as prune_store
from cachingclient.units import plain


@click.command()
@store_option
@click.option("--max-size", type=Size(), help="Until so many bytes are left. [default: the setting size-limit]")
@click.option("--older-than", type=Age(), help="What was not used for so long, e.g. 30d.")
@click.option("--keep-last", type=click.IntRange(min=1), help="Not the last used so many of a step; alone, all else.")
@click.option("--step", metavar="GLOB", help="Only steps of these names, e.g. 'select*'.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@json_option
def prune(
    store: Store,
    max_size: int | None,
    older_than: float | None,
    keep_last: int | None,
    step: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make room: remove the entries that were not used for longest, and files that belong to no entry.

    Pinned entries stay. It does not ask, and is safe while others read and write.
    """
    if store.read_only and not dry_run:
        raise Unreachable(f"nothing can be removed: store {store.url} is read-only here")
    report = prune_store(
        store,
        max_size=config.size_limit() if max_size is None else max_size,
        older_than=older_than,
        keep_last=keep_last,
        step=step,
        dry_run=dry_run,
    )
    remember_pruning(store, report)
    if as_json:
        print_json({"store": store.url, **asdict(report)})
        return
    for line in _lines(report):
        click.echo(plain(line))


def _lines(report: PruneReport) -> list[str]:
    removed = "Would remove" if report.dry_run else "Removed"
    most = sorted(report.steps.items(), key=lambda item: -item[1])[:5]
    names = f": {', '.join(f'{count:,} {name}' for name, count in most)}" if most else ""
    more = f" and {len(report.steps) - len(most):,} more names" if len(report.steps) > len(most) else ""
    return [
        f"{removed} {report.entries:,} entries ({units.size(report.nbytes)}, "
        f"{units.duration(report.seconds)} of running){names}{more}.",
        f"{removed} {report.orphans:,} files without an entry ({units.size(report.orphan_nbytes)}).",
        f"{report.kept_entries:,} entries stay ({units.size(report.kept_nbytes)}).",
    ]
