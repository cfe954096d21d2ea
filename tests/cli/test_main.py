"""``cachectl`` as a whole: how it is called, and its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import dask
import pytest
from click.testing import CliRunner

from cachingclient.cli import cli
from cachingclient.cli.main import COMMANDS
from cachingclient.storage import Store
from tests.cli.entries import key


def test_a_real_process_with_the_configured_store(store: Store) -> None:
    """``python -m cachingclient.cli`` takes the store from the environment and writes JSON that others read."""
    environment = os.environ | {"DASK_CACHINGCLIENT__STORE": store.url}
    command = [sys.executable, "-m", "cachingclient.cli", "list", "--json"]
    shown = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert {entry["key"] for entry in json.loads(shown.stdout)} == {key(number) for number in range(4)}


def test_the_configured_store_is_the_default(store: Store) -> None:
    """Without --store the setting counts."""
    with dask.config.set({"cachingclient.store": store.url}):
        result = CliRunner().invoke(cli, ["list", "--limit", "1"])
    assert key(3) in result.stdout


def test_options_for_the_store(store: Store) -> None:
    """--option goes to the store that is opened, as YAML reads it; one that it does not take is named."""
    arguments = ["list", "--limit", "1", "--store", store.url, "--option"]
    assert key(3) in CliRunner().invoke(cli, [*arguments, "verify=always"]).stdout
    wrong = CliRunner().invoke(cli, [*arguments, "verify=sometimes"])
    assert (wrong.exit_code, "verify='sometimes'" in wrong.stderr) == (2, True)
    unnamed = CliRunner().invoke(cli, [*arguments, "always"])
    assert (unnamed.exit_code, "'always' is not NAME=VALUE" in unnamed.stderr) == (2, True)


def test_the_configured_options_are_for_the_configured_store(store: Store) -> None:
    """store-options count for the configured store, not for one that is named."""
    with dask.config.set({"cachingclient.store": store.url, "cachingclient.store-options": {"trust": "nobody"}}):
        configured = CliRunner().invoke(cli, ["list"])
        named = CliRunner().invoke(cli, ["list", "--store", store.url])
    assert (configured.exit_code, "trust='nobody'" in configured.stderr) == (2, True)
    assert named.exit_code == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    """Each command can be loaded and explains itself."""
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: cache {name}")


def test_it_is_a_command_of_dask() -> None:
    """The group has the name that ``dask cache`` needs."""
    dask_command = click.Group("dask")
    dask_command.add_command(cli)
    result = CliRunner().invoke(dask_command, ["cache", "list", "--help"])
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "--store", "gopher://hole"], "unknown scheme 'gopher'"),
        (["list", "--store", "file:///no/such/folder"], "there is no store at file:///no/such/folder"),
        (["list", "--store", "s3:/bucket/analysis"], "did you mean 's3://bucket/analysis'?"),
        (["sites", "foo"], "no cluster named 'foo' of yours runs here"),
        (["fly"], "No such command 'fly'"),
    ],
)
def test_what_can_not_be_done_exits_with_2(arguments: list[str], message: str) -> None:
    """Wrong usage and unreachable stores are told in one line, without a traceback."""
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_a_look_at_a_mistyped_path_makes_no_folder(tmp_path: Path) -> None:
    """A store that is not there is not made by looking at it."""
    CliRunner().invoke(cli, ["list", "--store", str(tmp_path / "mistyped")])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["list", "doctor", "stats"])
def test_a_look_at_the_configured_store_makes_no_folder(tmp_path: Path, command: str) -> None:
    """Before the first analysis there is no store, and a look at it makes none."""
    with dask.config.set({"cachingclient.store": (tmp_path / "store").as_uri()}):
        result = CliRunner().invoke(cli, [command])
    assert f"{(tmp_path / 'store').as_uri()}" in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_a_file(tmp_path: Path) -> None:
    """A file in the place of a store is named."""
    (tmp_path / "file").touch()
    result = CliRunner().invoke(cli, ["list", "--store", str(tmp_path / "file")])
    assert result.exit_code == 2
    assert "is a file" in result.stderr


def test_a_wrong_setting_is_told() -> None:
    """A wrong setting exits with 2 and names itself."""
    with dask.config.set({"cachingclient.store": 7}):
        result = CliRunner().invoke(cli, ["list"])
    assert result.exit_code == 2
    assert "the setting cachingclient.store is 7" in result.stderr


def test_every_command_that_tells_something_takes_json() -> None:
    """Those of groups too; pages for people are none."""
    waiting = [((name,), cli.get_command(click.Context(cli), name)) for name in COMMANDS if name != "serve"]
    without = []
    while waiting:
        names, command = waiting.pop()
        if isinstance(command, click.Group):
            waiting += [((*names, name), each) for name, each in command.commands.items()]
        elif not any("--json" in option.opts for option in command.params):
            without.append(names)
    assert without == []
