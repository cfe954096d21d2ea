"""``cachectl env``: the environment that this runs in, packed for workers elsewhere."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cachingclient import units
from cachingclient.cli.main import Unreachable
from cachingclient.cli.options import json_option
from cachingclient.cli.output import print_json, print_table
from cachingclient.environments.kept import Packed, default_folder, pack, packed, say

folder_option = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where packed environments are kept. [default: environments in the user's cache folder]",
)


@click.group()
def env() -> None:
    """Pack this Python's environment for workers at other sites."""


@env.command(name="pack")
@folder_option
@json_option
def pack_environment(folder: Path | None, as_json: bool) -> None:
    """Pack the environment that this command is installed in, unless it was packed as it is now.

    Virtual environments are packed by venv-pack, conda's by conda-pack; editable packages are built as they are now.
    The last three are kept. Prints the archive's path and its digest, as Environment(packed=..., digest=...) takes
    them. How far it is goes to standard error.
    """
    try:
        found = pack(folder, say)
    except (ValueError, OSError) as error:
        raise Unreachable(str(error)) from error
    if as_json:
        print_json(_as_dict(found))
        return
    click.echo(f"{found.archive}\n{found.digest}")


@env.command(name="list")
@folder_option
@json_option
def list_environments(folder: Path | None, as_json: bool) -> None:
    """List the packed environments that are kept, the last used first."""
    found = packed(folder)
    if as_json:
        print_json([_as_dict(each) for each in found])
        return
    if not found:
        click.echo(f"No packed environments in {folder or default_folder()}.")
        return
    print_table(["archive", "of", "python", "editable", "size", "used"], map(_row, found), left=("archive", "of"))


def _as_dict(found: Packed) -> dict[str, Any]:
    return {**asdict(found), "archive": str(found.archive)}


def _row(found: Packed) -> list[str]:
    editable = ", ".join(f"{name} {commit[:9]}{commit[40:]}".strip() for name, commit in found.editable.items())
    used = units.age(time.time() - found.used)
    return [found.archive.name, found.prefix, found.python, editable, units.size(found.nbytes), f"{used} ago"]
