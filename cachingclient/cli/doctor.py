"""``cachectl doctor``: is everything here that caching needs, and does the store work from here?"""

from __future__ import annotations

import importlib.metadata
import platform
import time
import uuid
import warnings
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import click

from cachingclient import config, units
from cachingclient.cli.options import is_missing, open_chosen, store_url_options
from cachingclient.cli.output import print_json
from cachingclient.config import check
from cachingclient.storage import Entry, Store, StoreError, encode

PROBE_BYTES = 4_000_000
OPTIONAL = {
    "pandas": "tables kept by columns",
    "pyarrow": "tables kept by columns",
    "awkward": "awkward arrays kept by buffers",
    "hist": "histograms kept as such",
    "matplotlib": "pictures of plans",
    "s3fs": "stores on S3",
    "coffea": "coffea processors",
    "cryptography": "clusters over sites, stores with signatures by Ed25519",
}


class Finding(NamedTuple):
    """One thing that was looked at."""

    state: Literal["ok", "note", "warning", "fault"]
    text: str


@click.command()
@store_url_options
@click.option("--json", "as_json", is_flag=True, help="JSON.")
@click.pass_context
def doctor(ctx: click.Context, /, store: str | None, options: dict[str, Any], as_json: bool) -> None:
    """Check the settings, the installed versions, and the store by keeping and loading a result.

    Exits with 1 when there is a warning and with 2 when caching can't work.
    """
    findings = [*_settings(), *_versions(), *_store(store, options)]
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            click.echo(f"{finding.state:8} {finding.text}")
    states = {finding.state for finding in findings}
    ctx.exit(2 if "fault" in states else 1 if "warning" in states else 0)


def _settings() -> Iterator[Finding]:
    wrong = [Finding("fault", fault) for fault in check.faults()]
    yield from wrong
    yield from (Finding("warning", text) for text in check.misspelled())
    if not wrong:
        yield Finding("ok", f"settings: policy {config.policy()}, mode {config.mode()}, inputs {config.inputs()}")


def _versions() -> Iterator[Finding]:
    yield Finding("ok", f"Python {platform.python_version()}")
    for name in ("dask", "distributed"):
        yield Finding("ok", f"{name} {importlib.metadata.version(name)}")
    for name, use in OPTIONAL.items():
        try:
            yield Finding("ok", f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            yield Finding("note", f"{name} is not installed ({use})")


def _store(url: str | None, options: dict[str, Any]) -> Iterator[Finding]:
    try:
        place = url or config.store()
        if is_missing(place):
            yield Finding("note", f"store {place} is not there yet: the first client that uses it makes it")
            return
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            store = open_chosen(url, options)
    except (ImportError, TypeError, ValueError, StoreError) as error:
        yield Finding("fault", f"store: {error}")
        return
    yield from (Finding("warning", str(warning.message)) for warning in caught)
    yield _trust(store)
    if store.read_only:
        yield Finding("warning", f"store {store.url} can be read but not written")
        return
    try:
        yield from _round_trip(store)
    except StoreError as error:
        yield Finding("fault", f"store {store.url}: {error}")


def _trust(store: Store) -> Finding:
    """Say what is believed of what others can write."""
    if store.trust == "signed":
        return Finding("ok", f"store {store.url}: what is signed by a known key is loaded")
    if store.trust == "data":
        return Finding(
            "note", f"store {store.url}: only data is kept and loaded, no pickles, as others may write there"
        )
    if store.private:
        return Finding("ok", f"store {store.url}: nobody else can write there, so all that is in it is loaded")
    return Finding(
        "warning",
        f"store {store.url}: others may write there, and with trust: all what they wrote can run code as you",
    )


def _round_trip(store: Store) -> Iterator[Finding]:
    """Keep a result as large as a small histogram file, find it, load it and remove it."""
    # Random bytes in a key of their own: nothing that is really kept can be met or taken for it.
    value, key = uuid.uuid4().bytes * (PROBE_BYTES // 16), uuid.uuid4().hex
    try:
        begun = time.perf_counter()
        store.write(Entry((key,), "probe", "doctor", 0.0, {}, encode(value)))
        written = time.perf_counter()
        found = store.find([key])
        looked_up = time.perf_counter()
        if key not in found:
            yield Finding("fault", f"store {store.url}: what was written is not found")
            return
        same = store.read(found[key]) == value
        loaded = time.perf_counter()
    finally:
        store.delete([key])
    if not same:
        yield Finding("fault", f"store {store.url}: what is read is not what was written")
        return
    times = [written - begun, looked_up - written, loaded - looked_up]
    write, look_up, load = map(units.duration, times)
    size = units.size(PROBE_BYTES)
    yield Finding("ok", f"store {store.url}: {size} written in {write}, looked up in {look_up}, loaded in {load}")
