"""``cachectl explain``, also ``why``: why a step ran that had run before."""

from __future__ import annotations

import click

from cachingclient.cli.options import json_option, store_option
from cachingclient.cli.output import print_json
from cachingclient.cli.show import complete_key, find_entry
from cachingclient.plan.explain import explain_entry
from cachingclient.storage import Store
from cachingclient.units import plain


@click.command()
@click.argument("key", shell_complete=complete_key)
@store_option
@json_option
def explain(key: str, store: Store, as_json: bool) -> None:
    """Say how an entry differs from the nearest other one of its step.

    KEY is a step key, or enough of its beginning to be the only one.
    """
    info = find_entry(store, key.lower())
    told = explain_entry(info, store)
    if as_json:
        print_json({"key": info.key, "step": info.name, "because": told})
    else:
        # Lines of code that changed are lines here too; of what stands in them a terminal is told nothing else.
        click.echo("\n".join(map(plain, f"{plain(info.name)}: {told}".split("\n"))))
