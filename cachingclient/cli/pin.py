"""``cachectl pin``: keep entries from being pruned."""

from __future__ import annotations

from typing import Any

import click

from cachingclient.cli.main import Unreachable
from cachingclient.cli.options import Filter, filter_options, json_option, store_option
from cachingclient.cli.output import print_json, print_json_array
from cachingclient.cli.show import find_entry
from cachingclient.storage import Store
from cachingclient.storage import pin as pin_entries


@click.command()
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@store_option
@filter_options
@click.option("--remove", is_flag=True, help="Unpin them.")
@json_option
def pin(keys: tuple[str, ...], store: Store, remove: bool, as_json: bool, **filters: Any) -> None:
    """Keep entries from being pruned: those with these keys, or those that pass the filters.

    Without either, list the keys of pinned entries. A key may be given by enough of its beginning.
    """
    meant = Filter(**filters)
    if not keys and meant.any:
        pinned = sorted(store.pins())
        if as_json:
            print_json_array(pinned)
        else:
            click.echo("".join(f"{key}\n" for key in pinned), nl=False)
        return
    if keys and not meant.any:
        raise click.UsageError("give keys or filters, not both")
    if store.read_only:
        raise Unreachable(f"nothing can be pinned: store {store.url} is read-only here")
    if keys:
        chosen = {(info.keys or (info.key,))[0] for info in (find_entry(store, key.lower()) for key in keys)}
    else:
        chosen = {key for outline in meant.select(store.survey(times=False)) for key in outline.all_keys()}
    pin_entries(store, chosen, pinned=not remove)
    if as_json:
        print_json({"pinned": not remove, "keys": sorted(chosen)})
        return
    click.echo(f"{'Unpinned' if remove else 'Pinned'} {len(chosen):,} {'entry' if len(chosen) == 1 else 'entries'}.")
