"""The table that the page has: a row a peer, in Markdown.

python benchmarks/peers/page.py peers.json peers.png
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from changes import CHANGES
from picture import cost, draw, saving

HEADER = ["", "cold, plain = 1", "saved", *(change.name for change in CHANGES)]
COUNTED = ("stale", "missed", "failed")


def counted(one: Mapping[str, Any]) -> str:
    """What is wrong with a run, shortly."""
    wrong = [f"{one[what]} {what}" for what in COUNTED if one[what]]
    return ", ".join(wrong) or "right"


def row(one: Mapping[str, Any]) -> list[str]:
    """The cells of a peer."""
    measured = one["pairs"] is not None
    cold = f"{cost(one):.2f}" if measured else "not measured"
    if counted(one["runs"]["cold"]) != "right":
        cold += f", {counted(one['runs']['cold'])}"
    saved = f"{saving(one):.0%}".replace("%", " %") if measured else "not measured"
    return [one["title"], cold, saved, *(counted(one["runs"][change.name]) for change in CHANGES)]


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The table of all peers."""
    header, *rows = (f"| {' | '.join(cells)} |" for cells in (HEADER, *map(row, found.values())))
    return "\n".join([header.replace("|  |", "| |"), f"|{'---|' * len(HEADER)}", *rows])


def plain_times(found: Mapping[str, Mapping[str, Any]]) -> str:
    """What the plain runs took, and how many repetitions count, over all peers."""
    pairs = [one["pairs"] for one in found.values() if one["pairs"] is not None]
    times = [run[1] for each in pairs for both in each["plain"] for run in both]
    if not times:
        return "no cold run was measured"
    kept, dropped = sum(len(each["plain"]) for each in pairs), sum(each["dropped"] for each in pairs)
    return f"plain took {min(times):.1f} to {max(times):.1f} s of the processor; {kept} pairs, {dropped} dropped"


@click.command(help=__doc__)
@click.argument("figures", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("picture", type=click.Path(dir_okay=False, path_type=Path))
def main(figures: Path, picture: Path) -> None:
    found = json.loads(figures.read_text())
    click.echo(f"{table(found)}\n\n{plain_times(found)}")
    draw(found, picture)


if __name__ == "__main__":
    main()
