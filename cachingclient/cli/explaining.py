"""``cachectl explain``: why a step ran that had run before."""

from __future__ import annotations

import click

from cachingclient.cli.options import store_option
from cachingclient.cli.showing import find_entry
from cachingclient.explain import explain as explain_step
from cachingclient.explain import made_of_entry
from cachingclient.storage import Store


@click.command()
@click.argument("key")
@store_option
def explain(key: str, store: Store) -> None:
    """Say how an entry differs from the nearest other one of its step.

    KEY is a step key, or enough of its beginning to be the only one. The whole store is gone through.
    """
    info = find_entry(store, key.lower())
    click.echo(f"{info.name}: {explain_step(made_of_entry(info, store), info.key, store)}")
