"""``cachectl verify``: read everything and compare it with its digest."""

from __future__ import annotations

from dataclasses import asdict

import click

from cachingclient.cli.main import Unreachable
from cachingclient.cli.options import json_option, store_option
from cachingclient.cli.output import print_json
from cachingclient.storage import Store
from cachingclient.storage import verify as verify_store
from cachingclient.units import plain


@click.command()
@store_option
@click.option("--repair", is_flag=True, help="Move what is damaged out of the way, so that it is run again.")
@json_option
@click.pass_context
def verify(ctx: click.Context, /, store: Store, repair: bool, as_json: bool) -> None:
    """Read every entry in full and compare it with its digest.

    Exits with 1 if something is wrong and was not mended.
    """
    if store.read_only and repair:
        raise Unreachable(f"nothing can be repaired: store {store.url} is read-only here")
    report = verify_store(store, repair=repair)
    left = sum(not problem.mended for problem in report.problems)
    if as_json:
        print_json({"store": store.url, "sound": report.sound, **asdict(report)})
    else:
        for problem in report.problems:
            click.echo(plain(f"{'mended' if problem.mended else 'wrong'}: {problem.name}: {problem.what}"))
        mended = len(report.problems) - left
        click.echo(f"{report.entries:,} entries read, {len(report.problems):,} damaged, {mended:,} mended.")
    ctx.exit(1 if left else 0)
