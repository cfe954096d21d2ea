"""``cachectl trust``: the keys that sign entries."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click

from cachingclient.cli.main import Unreachable
from cachingclient.cli.options import json_option, store_option
from cachingclient.cli.output import print_json, print_table
from cachingclient.storage import Store
from cachingclient.storage.wrappers.keys import REVOKED, Key, load_key, make_pair, make_secret, revoked
from cachingclient.storage.wrappers.signed import SignedStore

ring_argument = click.argument("ring", type=click.Path(path_type=Path, file_okay=False))


@click.group()
def trust() -> None:
    """The keys of a ring: a folder that the store's option signing_key names.

    Entries are believed if a key of the ring signed them; the first that can sign signs what is kept.
    """


@trust.command()
@ring_argument
@click.option(
    "--pair", is_flag=True, help="An Ed25519 key: those who get its public half alone can read and not write."
)
@click.option("--name", default="own", show_default=True, help="The name of the key's file.")
@json_option
def init(ring: Path, pair: bool, name: str, as_json: bool) -> None:
    """Make a ring if there is none, and a key in it: a secret that all share, or with --pair one of your own."""
    _check_name(name)
    ring.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        key = (make_pair if pair else make_secret)(ring / f"{name}.key")
    except FileExistsError as error:
        raise click.UsageError(f"{error.filename} is there already: give another --name") from None
    if as_json:
        public = {"public": str(ring / f"{name}.pub")} if pair else {}
        print_json({"key": key.name, "file": str(ring / f"{name}.key"), **public})
        return
    click.echo(f"{key.name} is in {ring / name}.key: open the store with trust: signed and signing_key: {ring}")
    if pair:
        click.echo(f"Give {ring / name}.pub to those who read; they add it to their rings with cachectl trust add.")


@trust.command()
@ring_argument
@json_option
def show(ring: Path, as_json: bool) -> None:
    """Show the keys of a ring."""
    gone = revoked(ring)
    rows = [
        {"file": path.name, "key": key.name, "signs": key.can_sign, "revoked": key.name in gone}
        for path, key in _keys(ring)
    ]
    if as_json:
        print_json(rows)
        return
    words = [[str(row["file"]), str(row["key"]), _yes(row["signs"]), _yes(row["revoked"])] for row in rows]
    print_table(["file", "key", "signs", "revoked"], words, left=("file", "key", "signs", "revoked"))


@trust.command()
@ring_argument
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--name", help="The name of the key's file in the ring. [default: that of FILE]")
@json_option
def add(ring: Path, file: Path, name: str | None, as_json: bool) -> None:
    """Add a key to a ring: entries that it signed are believed from now on."""
    key = _loaded(file)
    _check_name(name or file.name)
    target = ring / (name or file.name)
    if not ring.is_dir() or target.exists():
        raise click.UsageError(f"{target} is there already, or {ring} is no ring")
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as copy, file.open("rb") as original:
        shutil.copyfileobj(original, copy)
    if as_json:
        print_json({"key": key.name, "file": str(target)})
        return
    click.echo(f"{key.name} is in {target}")


@trust.command()
@ring_argument
@click.argument("key")
@json_option
def revoke(ring: Path, key: str, as_json: bool) -> None:
    """Believe a key of a ring no more, by its name: what it signed is a miss from now on."""
    if key not in {each.name for _, each in _keys(ring)}:
        raise click.UsageError(f"no key of {ring} is named {key}: cachectl trust show {ring} has the names")
    handle = os.open(ring / REVOKED, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(f"{key}\n")
    if as_json:
        print_json({"key": key, "revoked": True})
        return
    click.echo(f"{key} is believed no more in {ring}. Running clients and workers know it when they are started again.")


@trust.command()
@store_option
@json_option
def audit(store: Store, as_json: bool) -> None:
    """Count the entries of a signed store by the key that signed them."""
    if not isinstance(store, SignedStore):
        raise click.UsageError(
            f"{store.url} is opened with trust: {store.trust}; give -o trust=signed -o signing_key=RING"
        )
    signers = store.signers()
    if as_json:
        print_json({"believed": {key: count for key, count in signers.items() if key}, "others": signers[""]})
        return
    rows = [[key or "no key of the ring", f"{count:,}"] for key, count in signers.most_common()]
    print_table(["signed by", "entries"], rows, left=("signed by",))


def _keys(ring: Path) -> list[tuple[Path, Key]]:
    if not ring.is_dir():
        raise Unreachable(f"there is no ring at {ring}")
    return [(path, _loaded(path)) for path in sorted(ring.iterdir()) if path.name != REVOKED]


def _loaded(path: Path) -> Key:
    try:
        return load_key(path)
    except ValueError as error:
        raise Unreachable(str(error)) from error


def _check_name(name: str) -> None:
    if "/" in name or name.startswith(".") or name == REVOKED:
        raise click.UsageError(f"--name {name!r}: takes the name of a file")


def _yes(value: object) -> str:
    return "yes" if value else ""
