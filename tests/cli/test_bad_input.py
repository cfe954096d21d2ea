"""What ``cachectl`` says to what it does not take: a sentence and exit code 2, never a traceback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cachingclient.cli import cli
from tests.support.rights import as_another_user
from tests.support.waiting import until

Cachectl = Callable[..., Result]


@pytest.mark.parametrize(("typed", "meant"), [("lst", "list"), ("shwo", "show"), ("purgee", "purge")])
def test_a_mistyped_command_is_told_the_nearest(typed: str, meant: str) -> None:
    """As options are."""
    told = CliRunner().invoke(cli, [typed])
    assert (told.exit_code, f"No such command {typed!r}; did you mean {meant!r}?" in told.output) == (2, True)


@pytest.mark.parametrize("command", [["list"], ["runs"], ["stats"], ["verify"], ["show", "ab"], ["prune"]])
def test_a_folder_that_is_no_store_stays_as_it_is(command: list[str], tmp_path: Path) -> None:
    """It is an error, and nothing is made there."""
    told = CliRunner().invoke(cli, [*command, "--store", tmp_path.as_uri()])
    assert (told.exit_code, told.output) == (2, f"Error: there is no store at {tmp_path.as_uri()}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("hidden", ["v1", "v1/steps"])
def test_a_store_that_may_not_be_read_is_no_empty_one(cachectl: Cachectl, store_url: str, hidden: str) -> None:
    """Nor one in which a folder may not be: an error that names it."""
    place = Path(store_url.removeprefix("file://"))
    (place / hidden).chmod(0o700 if os.geteuid() == 0 else 0)
    with as_another_user(place):
        for command in ("list", "stats"):
            told = cachectl(command)
            assert (told.exit_code, "can't be read (Permission denied)" in told.stderr) == (2, True), told.output


def test_an_interrupted_command_says_so_without_a_traceback() -> None:
    """While it waits for a cluster that does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        waits = subprocess.Popen(
            [sys.executable, "-m", "cachingclient.cli", "sites", address], stderr=subprocess.PIPE, text=True
        )
        silent.accept()[0].close()
        waits.send_signal(signal.SIGINT)
        until(lambda: waits.poll() is not None)
        assert waits.stderr is not None
        said = waits.stderr.read()
    assert (waits.returncode, "Aborted!" in said, "Traceback" in said) == (1, True, False), said


@pytest.mark.parametrize("name", ["foo", "foo bar"])
def test_sites_of_an_unknown_cluster(name: str) -> None:
    """It says what an address looks like."""
    told = CliRunner().invoke(cli, ["sites", name])
    assert (told.exit_code, f"no cluster named {name!r} of yours runs here" in told.output) == (2, True)
