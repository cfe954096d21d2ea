"""The command group: which commands there are, and what becomes of errors."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import click

# Each is loaded when it is asked for: `dask` loads this group for every one of its own commands.
COMMANDS = {
    "list": "cachingclient.cli.listing:list_entries",
    "show": "cachingclient.cli.showing:show",
    "explain": "cachingclient.cli.explaining:explain",
    "stats": "cachingclient.cli.statistics:stats",
    "purge": "cachingclient.cli.purging:purge",
    "prune": "cachingclient.cli.pruning:prune",
    "pin": "cachingclient.cli.pinning:pin",
    "sites": "cachingclient.cli.sites:sites",
    "verify": "cachingclient.cli.verifying:verify",
    "doctor": "cachingclient.cli.doctor:doctor",
    "dirac": "cachingclient.cli.dirac:dirac",
}


class Unreachable(click.ClickException):
    """The store can't be reached, or a setting is wrong: nothing was done."""

    exit_code = 2


class Commands(click.Group):
    """A group that loads its commands late and turns what a store raises into a message and exit code 2."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        from cachingclient.config import ConfigurationError
        from cachingclient.storage import StoreError

        try:
            return super().invoke(ctx)
        except (ConfigurationError, StoreError) as error:
            raise Unreachable(str(error)) from error


@click.group(
    name="cache",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done; 1 declined, or done in part; 2 wrong usage, or a store that can't be reached.",
)
@click.version_option(package_name="cachingclient", prog_name="cachectl")
def cli() -> None:
    """Look at a store of cached steps, and look after it."""
    warnings.showwarning = _show_warning


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"Warning: {message}", err=True)


def main() -> None:
    """Run ``cachectl``."""
    cli(prog_name="cachectl")
