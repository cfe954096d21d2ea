"""``cachectl sites``: the work of the sites of a running cluster."""

from __future__ import annotations

import asyncio
import warnings
from pathlib import Path
from typing import Any

import click

from cachingclient.cli.main import Unreachable
from cachingclient.cli.options import json_option
from cachingclient.cli.output import print_json, print_table

PATIENCE = 20
"""Seconds within which a cluster answers."""


@click.command()
@click.argument("address", required=False)
@click.option(
    "--log", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Take a cluster's log instead."
)
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Also draw the run into this file.")
@json_option
def sites(address: str | None, log: Path | None, plot: Path | None, as_json: bool) -> None:
    """Show workers, tasks and bytes moved by site.

    ADDRESS is the address or the name of a cluster, VineCluster or DiracCluster; without it, the cluster that
    you have running on this machine.
    """
    from cachingclient.vine.report.plot import plot as draw
    from cachingclient.vine.report.plot import read_log

    try:
        samples = read_log(log) if log is not None else _ask(_find(address))
    except ValueError as error:
        raise Unreachable(str(error)) from error
    if not samples:
        raise Unreachable(f"{log} tells of nothing yet")
    if plot is not None:
        draw(samples, plot)
    table = samples[-1][1]
    if as_json:
        print_json(table.to_dict())
    else:
        head, *rows = table.cells()
        print_table(head, rows, left=["site"])


def _find(address: str | None) -> dict[str, Any]:
    """Return the published address of the cluster that the user means."""
    from cachingclient.vine.discovery import clusters

    running = clusters()
    if address is None and len(running) != 1:
        names = ", ".join(f"{each['name']} ({each['address']})" for each in running)
        raise Unreachable(f"which cluster? These run: {names}" if running else "no cluster of yours runs here")
    for each in running:
        if address in (None, each["address"], each["name"]):
            return each
    if address is not None and ":" not in address:
        raise Unreachable(f"no cluster named {address!r} of yours runs here; an address is such as tcp://host:8786")
    return {"address": address, "encrypted": None}


def _ask(told: dict[str, Any]) -> Any:
    """Return the samples of a cluster, with its counts of now."""
    from distributed import Client

    from cachingclient.vine.discovery import security_of
    from cachingclient.vine.scheduler.monitor import samples_of

    security = security_of(told) if told["encrypted"] is not None else None

    async def samples() -> Any:
        async with Client(told["address"], security=security, asynchronous=True, set_as_default=False) as client:
            return await client.run_on_scheduler(samples_of)

    try:
        # A server that takes connections and says nothing holds dask's client up, whatever its timeout.
        return asyncio.run(asyncio.wait_for(samples(), PATIENCE))
    except TimeoutError:
        warnings.simplefilter("ignore", RuntimeWarning)  # of what dask's client leaves undone, as the command ends
        raise Unreachable(f"cluster {told['address']} did not answer within {PATIENCE} s") from None
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise Unreachable(f"cluster {told['address']} can't be asked: {error}") from error
