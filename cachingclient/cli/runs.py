"""``cachectl runs`` and ``cachectl diff``: what was run with a store, and how two runs differ."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import click

from cachingclient import units
from cachingclient.cli.options import json_option, store_option, store_to_complete
from cachingclient.cli.output import print_json, print_json_array, print_table
from cachingclient.plan.history import Counts, Run, differences, history_of
from cachingclient.storage import Store
from cachingclient.units import plain


def complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of runs that begin so, for the shell."""
    store = store_to_complete(ctx)
    return [run.name for run in history_of(store) if run.name.startswith(incomplete)] if store is not None else []


@click.command()
@store_option
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="So many, the last.")
@json_option
def runs(store: Store, limit: int, as_json: bool) -> None:
    """Show what was run with a store: steps that ran and were loaded, seconds spent and saved, and why steps ran.

    A run is a graph of two steps or more; the last ones are remembered, in a file beside the store.
    """
    found = list(history_of(store))
    if as_json:
        print_json_array(run.as_dict() for run in found[-limit:])
        return
    if not found:
        click.echo(f"No runs with {store.url} are remembered.")
        return
    heads = ["run", "steps", "ran", "loaded", "spent", "saved", "bytes", "because"]
    print_table(heads, map(_row, found[-limit:]), left=("run", "because"))
    saved = sum(run.saved for run in found)
    click.echo(f"{len(found):,} {'run' if len(found) == 1 else 'runs'}; loading saved about {units.duration(saved)}")


def _row(run: Run) -> list[str]:
    texts = list(dict.fromkeys(text for text in run.because.values() if not text.startswith("follows ")))
    more = f" and {len(texts) - 1} more" if len(texts) > 1 else ""
    numbers = [f"{number:,}" for number in (run.steps, run.ran, run.loaded)]
    times = [units.duration(seconds) if seconds else "" for seconds in (run.spent, run.saved)]
    return [run.name, *numbers, *times, units.size(run.nbytes) if run.nbytes else "", "".join([*texts[:1], more])]


@click.command()
@click.argument("before", shell_complete=complete_run)
@click.argument("after", shell_complete=complete_run, default="-1")
@store_option
@json_option
def diff(before: str, after: str, store: Store, as_json: bool) -> None:
    """Compare two runs: which steps ran in one and were loaded in the other, the seconds, and why.

    BEFORE and AFTER are names that `cachectl runs` shows, or enough of their beginning, or numbers from the end after
    a ``--``: ``cachectl diff -- -2 -1`` compares the last but one with the last, which AFTER is by default.
    """
    history = history_of(store)
    try:
        one, other = history.find(before), history.find(after)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    found = list(differences(one, other))
    if as_json:
        print_json({"before": one.name, "after": other.name, "steps": [_as_dict(*each) for each in found]})
        return
    if not found:
        click.echo("The same steps ran and were loaded.")
        return
    ago = [units.age(time.time() - run.when) for run in (one, other)]
    click.echo(f"{one.name}, {ago[0]} ago -> {other.name}, {ago[1]} ago")
    rows = [[name, *map(_pair, *_numbers(old, new)), plain(why)] for name, old, new, why in found]
    print_table(["step", "steps", "ran", "loaded", "spent", "because"], rows, left=("step", "because"))


def _numbers(old: Counts, new: Counts) -> tuple[list[str], list[str]]:
    one, other = (
        [f"{each.steps:,}", f"{each.ran:,}", f"{each.loaded:,}", units.duration(each.spent)] for each in (old, new)
    )
    return one, other


def _pair(old: str, new: str) -> str:
    return old if old == new else f"{old} -> {new}"


def _as_dict(name: str, old: Counts, new: Counts, why: str) -> dict[str, Any]:
    return {"step": name, "before": asdict(old), "after": asdict(new), "because": why}
