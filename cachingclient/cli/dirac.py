"""``cachectl dirac``: the user's identity at a DIRAC server, its sites, and the user's jobs there."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any

import click

from cachingclient import units
from cachingclient.cli import dirac_jobs
from cachingclient.cli.main import Unreachable
from cachingclient.cli.options import Command, json_option
from cachingclient.cli.output import print_json, print_table
from cachingclient.dirac import DiracApi, DiracError, TokenFile, find_proxy, open_api


class DiracCommands(click.Group):
    """Commands whose errors of the server and of credentials become a message and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (DiracError, ValueError) as error:
            raise Unreachable(str(error)) from error


@click.group(cls=DiracCommands)
def dirac() -> None:
    """Jobs at grid sites, by DIRAC 8, DIRAC 9 or DiracX.

    The server is that of --url, else of the setting dirac.url; proxies and tokens are found where DIRAC's own tools
    keep them.
    """


def server_options(command: Command) -> Command:
    """Add the options with which a server is opened; the command gets the open server as ``api``."""

    @functools.wraps(command)
    def with_api(
        *args: Any, url: str | None, vo: str | None, credentials: str | None, ca: str | None, **rest: Any
    ) -> Any:
        with open_api(url, vo, credentials, ca=ca) as api:
            return command(*args, api=api, **rest)

    options = [
        click.option("--url", metavar="URL", help="The server. [default: the setting dirac.url]"),
        click.option("--vo", help="The virtual organisation. [default: the setting dirac.vo]"),
        click.option("--credentials", metavar="FILE", help="A proxy, or a file of tokens. [default: DIRAC's own]"),
        click.option("--ca", metavar="PATH", help="What to trust the server by. [default: the setting dirac.ca]"),
    ]
    for option in reversed(options):
        with_api = option(with_api)
    return with_api


@dirac.command()
@server_options
@json_option
def whoami(api: DiracApi, as_json: bool) -> None:
    """Show the user's identity, as the server sees it."""
    me = api.whoami()
    if as_json:
        print_json(_end(me.expires) | {"user": me.user, "group": me.group, "vo": me.vo, "rights": me.properties})
        return
    click.echo(f"{me.user} as {me.group} of {me.vo} at {api.url}, {_lasting(me.expires)}")
    click.echo(f"may act as: {', '.join(me.properties)}")


@dirac.command()
@server_options
@json_option
def sites(api: DiracApi, as_json: bool) -> None:
    """List the sites and their states."""
    found = api.sites()
    if as_json:
        print_json(found)
        return
    print_table(["site", "state"], found.items(), left=("site", "state"))


@dirac.command()
@click.option(
    "--credentials", metavar="FILE", help="A proxy, or a file of tokens. [default: both, where DIRAC has them]"
)
@json_option
@click.pass_context
def proxy(ctx: click.Context, /, credentials: str | None, as_json: bool) -> None:
    """Show which proxy and tokens are here, whose, and how long they last; no server is asked.

    Exits with 1 if there are none that last.
    """
    found, lasting = [], False
    for kind, read in (("proxy", _proxy), ("tokens", _tokens)):
        try:
            found.append({"kind": kind, **read(credentials)})
            lasting = True
        except DiracError as error:
            found.append({"kind": kind, "problem": str(error)})
    if as_json:
        print_json(found)
    else:
        for each in found:
            said = each.get("problem") or f"{each['path']}: {each['owner']}, {_lasting(each['until'])}"
            click.echo(f"{each['kind']:7} {said}")
    ctx.exit(0 if lasting else 1)


@dirac.command()
@click.option("--url", metavar="URL", help="The server. [default: the setting dirac.url]")
@click.option("--vo", help="The virtual organisation. [default: the setting dirac.vo]")
@click.option("--group", help="The group to act as. [default: the organisation's default group]")
@click.option("--credentials", metavar="FILE", help="Where to keep the tokens. [default: where DIRAC keeps them]")
@click.option("--ca", metavar="PATH", help="What to trust the server by. [default: the setting dirac.ca]")
@json_option
def login(
    url: str | None, vo: str | None, group: str | None, credentials: str | None, ca: str | None, as_json: bool
) -> None:
    """Get tokens for a DiracX server by opening an address in a browser, on this or another device."""
    from cachingclient import config
    from cachingclient.dirac.api.http import Http
    from cachingclient.dirac.api.tokens import log_in

    address, organisation = url or config.dirac("url"), vo or config.dirac("vo")
    if not address or not organisation:
        raise click.UsageError("--url and --vo are needed, or the settings dirac.url and dirac.vo")
    http = Http(address, ca=ca or config.dirac("ca"))
    tokens = log_in(http, organisation, group, lambda page: click.echo(f"open {page}\nand wait here", err=as_json))
    file = TokenFile(credentials)
    file.write(tokens)
    if as_json:
        print_json({"path": str(file.path), **_end(tokens.renewable_until)})
        return
    click.echo(f"logged in, {_lasting(tokens.renewable_until)}: {file.path}")


for name, function in dirac_jobs.COMMANDS.items():
    dirac.command(name)(server_options(function))


def _end(until: datetime | None) -> dict[str, Any]:
    left = None if until is None else (until - datetime.now(UTC)).total_seconds()
    return {"until": until and until.isoformat(), "seconds_left": left}


def _proxy(path: str | None) -> dict[str, Any]:
    found = find_proxy(path)
    owner = f"{found.subject} as {found.group or 'member of the default group'}"
    return {"path": str(found.path), "owner": owner, "until": found.expires}


def _tokens(path: str | None) -> dict[str, Any]:
    file = TokenFile(path)
    file.check()
    tokens = file.read()
    claims = tokens.claims
    owner = f"{claims.get('preferred_username')} as {claims.get('dirac_group')} of {claims.get('vo')}"
    return {"path": str(file.path), "owner": owner, "until": tokens.renewable_until}


def _lasting(until: datetime | None) -> str:
    if until is None:
        return "without an end"
    return f"for {units.duration((until - datetime.now(UTC)).total_seconds())}"
