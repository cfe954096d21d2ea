"""Tables for people, tab-separated lines for pipes, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cachingclient.units import plain


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[str] = ()) -> None:
    """Print a table on a terminal, tab-separated lines elsewhere.

    Parameters
    ----------
    heads
        The columns' titles.
    rows
        Cells as text.
    left
        Titles of the columns that are aligned to the left; numbers are aligned to the right.
    """
    console = Console()
    rows = (list(map(plain, row)) for row in rows)
    if not console.is_terminal:
        click.echo("\t".join(heads))
        for row in rows:
            click.echo("\t".join(row))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(
            head, justify="left" if head in left else "right", overflow="fold" if head in left else "ellipsis"
        )
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=2, default=str))


def print_json_array(values: Iterable[Any]) -> None:
    """Print a JSON array as its values come, without holding them."""
    click.echo("[", nl=False)
    separator = "\n"
    for value in values:
        click.echo(f"{separator}{json.dumps(value, default=str)}", nl=False)
        separator = ",\n"
    click.echo("\n]")


def on_terminal() -> bool:
    """Whether a person is reading."""
    return Console().is_terminal
