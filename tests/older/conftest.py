"""Programs that run in environments with older releases."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.older.environments import NotInstalled, interpreter

ROOT = Path(__file__).parents[2]

RunIn = Callable[..., str]


def environment(name: str) -> Path:
    """The interpreter of an environment; a test that can't have it is skipped."""
    try:
        return interpreter(name)
    except NotInstalled as error:
        pytest.skip(str(error))


SUITES: list[tuple[str, str, str, str]] = []
"""What suites came to in other environments: name, passed, failed, minutes."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the suites came to, as the page on reliability has it."""
    if SUITES:
        terminalreporter.section("releases")
        rows = [("environment", "passed", "failed", "minutes"), ("---",) * 4, *SUITES]
        terminalreporter.write("".join(f"| {' | '.join(row)} |\n" for row in rows))


@pytest.fixture
def run_in(tmp_path: Path, store_url: str) -> RunIn:
    """Run Python in one of the environments, in this test's folder and with its store; gives what it prints."""

    def run(name: str, *arguments: str, folder: Path = tmp_path, check: bool = True) -> str:
        settings = {"DASK_CACHINGCLIENT__STORE": store_url, "DASK_CACHINGCLIENT__POLICY": "all"}
        settings["PYTEST_ADDOPTS"] = ""  # what this environment's pytest is told may name what is not in that one
        done = subprocess.run(
            [str(environment(name)), "-W", "ignore", *arguments],
            cwd=folder,
            env=os.environ | settings | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
        return done.stdout

    return run
