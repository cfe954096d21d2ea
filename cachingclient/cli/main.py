"""The command group: which commands there are, and what becomes of errors."""

from __future__ import annotations

import difflib
import importlib
import warnings
from typing import Any

import click

# Each is loaded when it is asked for: `dask` loads this group for every one of its own commands, and help is read here.
COMMANDS = {
    "list": ("list:list_entries", "List the entries of a store, the newest first."),
    "show": ("show:show", "Show one entry: size, codec, times, and what went into its key."),
    "explain": ("explain:explain", "Say how an entry differs from the nearest other one of its step."),
    "why": ("explain:explain", "The same as explain."),
    "runs": ("runs:runs", "Show what was run with a store."),
    "diff": ("runs:diff", "Compare two runs: which steps ran in one and were loaded in the other."),
    "stats": ("stats:stats", "Sum up the entries of a store, by step name."),
    "purge": ("purge:purge", "Remove results for good: all entries that pass the filters."),
    "rm": ("purge:purge", "The same as purge."),
    "prune": ("prune:prune", "Make room: remove the entries that were not used for longest."),
    "clean": ("prune:prune", "The same as prune."),
    "pin": ("pin:pin", "Keep entries from being pruned."),
    "sites": ("sites:sites", "Show workers, tasks and bytes moved by site."),
    "serve": ("serve:serve", "Show a store as pages in a browser, on this machine."),
    "verify": ("verify:verify", "Read every entry in full and compare it with its digest."),
    "trust": ("trust:trust", "The keys of a ring: a folder that the store's option signing_key names."),
    "doctor": ("doctor:doctor", "Check the settings, the installed versions, and the store."),
    "env": ("env:env", "Pack this Python's environment for workers at other sites."),
    "dirac": ("dirac:dirac", "Jobs at grid sites, by DIRAC 8, DIRAC 9 or DiracX."),
}
"""Each command with where it is, module and function, and its line in the group's help."""


EXTRAS = {"cryptography": "'cachingclient[trust]'", "requests": "'cachingclient[dirac]'"}
"""What brings a library that is missing."""


class Unreachable(click.ClickException):
    """The store can't be reached, or a setting is wrong: nothing was done."""

    exit_code = 2


class Commands(click.Group):
    """A group that loads its commands late and turns the errors of a store into a message and exit code 2."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"cachingclient.cli.{module}"), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not ctx.resilient_parsing:
            nearest = "".join(difflib.get_close_matches(args[0], COMMANDS, 1, 0.5))
            ctx.fail(f"No such command {args[0]!r}{f'; did you mean {nearest!r}?' if nearest else '.'}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        from cachingclient.config import ConfigurationError
        from cachingclient.storage import StoreError

        try:
            return super().invoke(ctx)
        except (ConfigurationError, StoreError, ImportError) as error:
            extra = EXTRAS.get(getattr(error, "name", None) or "")
            raise Unreachable(f"{error}{f': pip install {extra}' if extra else ''}") from error


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
