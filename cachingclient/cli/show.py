"""``cachectl show``: everything that is known of one entry."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import click

from cachingclient import units
from cachingclient.cli.list import as_dict
from cachingclient.cli.options import json_option, store_option, store_to_complete
from cachingclient.cli.output import print_json
from cachingclient.plan.changes import arguments_in_words
from cachingclient.plan.trace_in_words import in_words
from cachingclient.plan.variants import OBSERVED, trace_of
from cachingclient.storage import EntryInfo, Store
from cachingclient.storage.names import is_name
from cachingclient.units import plain

MOST_COMPLETED = 100
"""More keys than these are not offered to the shell."""


def complete_key(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the keys that begin so, for the shell."""
    store = store_to_complete(ctx)
    if store is None:
        return []
    keys = (key for outline in store.survey(times=False) for key in outline.all_keys())
    return list(islice((key for key in keys if key.startswith(incomplete.lower())), MOST_COMPLETED))


@click.command()
@click.argument("key", shell_complete=complete_key)
@store_option
@json_option
def show(key: str, store: Store, as_json: bool) -> None:
    """Show one entry: size, codec, times, and what went into its key.

    KEY is a step key, or enough of its beginning to be the only one.
    """
    info = find_entry(store, key.lower())
    now = time.time()
    if as_json:
        known = as_dict(info, now) | {"keys": list(info.keys), "details": info.details}
        print_json(known | {"load_seconds": store.load_cost(info.nbytes)})
        return
    for label, text in lines_of(info, store, now):
        click.echo(plain(f"{label:18}{text}"))


def lines_of(info: EntryInfo, store: Store, now: float) -> Iterator[tuple[str, str]]:
    """Yield what is known of an entry, line by line: a label, which may be empty, and a text."""
    lines = {
        "key": info.key,
        "also filed under": ", ".join(key for key in info.keys if key != info.key),
        "step": info.name if info.kind == "result" else f"{info.name} ({info.kind})",
        "size": f"{units.size(info.nbytes)} ({info.nbytes:,} bytes), {info.codec}",
        "digest": info.digest,
        "kept": f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(info.created))}, {_ago(now - info.created)}",
        "last used": _ago(now - info.last_used) if info.last_used else "",
        "took": units.duration(info.seconds),
        "loads in": f"about {units.duration(store.load_cost(info.nbytes))}",
    }
    lines |= {"arguments": arguments_in_words(info), "memory": _memory(info.details.get("peak"))}
    told = (OBSERVED, "arguments", "peak", "shown")
    details = {name: value for name, value in info.details.items() if name not in told and value != {}}
    for label, text in [(label, text) for label, text in lines.items() if text] + list(_details(details)):
        yield f"{label}:", text
    try:
        depends_on = list(in_words(trace_of(info)))
    except ValueError as error:
        depends_on = [f"nobody knows what: {error}"]
    for number, text in enumerate(depends_on):
        yield "" if number else "depends on:", text


def find_entry(store: Store, key: str) -> EntryInfo:
    """The entry with a key, or with a beginning of one that no other has."""
    if is_name(key):
        matches = list(store.find([key]).values())
    else:
        # A full listing: only people type parts of keys.
        fit = (whole for outline in store.survey(times=False) for whole in outline.all_keys() if whole.startswith(key))
        matches = list(store.find(islice(fit, 2)).values())
    if not matches:
        raise click.UsageError(f"no entry has a key that begins with {key!r} in {store.url}")
    if len(matches) > 1:
        raise click.UsageError(f"more than one key begins with {key!r}: give more of it")
    return matches[0]


def _ago(seconds: float) -> str:
    age = units.age(seconds)
    return age if age == "now" else f"{age} ago"


def _memory(peak: Any) -> str:
    """What the worker's process grew by at most while the step ran, if that is noted."""
    return f"grew by {units.size(peak)}" if isinstance(peak, int) and peak > 0 else ""


def _details(details: Mapping[str, Any], indent: str = "") -> Iterator[tuple[str, str]]:
    """One line a detail, nested details below the name of theirs."""
    for name, value in details.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{name}", ""
            yield from _details(value, f"{indent}  ")
        else:
            yield f"{indent}{name}", value if isinstance(value, str) else json.dumps(value)
