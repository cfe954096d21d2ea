"""Each release of dask that the package is said to run on runs the client's tests; some of them in each CI run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cachingclient.dask_internals.fit import TESTED
from tests.older.conftest import SUITES
from tests.older.environments import RELEASES

ROOT = Path(__file__).parents[2]
FAST = (
    *("client/test_submit.py", "client/test_kinds_of_collections.py", "test_step.py"),
    *("coffea/test_dask_executor.py", "coffea/test_run_steps.py"),
)
"""The tests of each CI run: submitted calls, collections, steps, and runs of coffea."""
MORE = ("client", "test_step.py", "test_step_changes.py", "test_step_in_tasks.py", "coffea", "corpus", "plan")
OLDEST = RELEASES[0]
NOT_THERE = "not ten_thousand and not notebook and not documented and not fitting and not folder_on_the_path"
"""Tests that need what these environments have not, or that no release of dask can make a difference to."""

pytestmark = pytest.mark.slow


def check(run_in: Callable[..., str], name: str, folders: tuple[str, ...], base: Path) -> None:
    """Run tests in an environment and note what they came to; they have to pass."""
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT), "--basetemp", str(base), "-k", NOT_THERE]
    tests = [str(ROOT / "tests" / each) for each in folders]
    told = run_in(name, "-m", "pytest", *options, *tests, folder=ROOT, check=False)
    counts = {kind: count for count, kind in re.findall(r"(\d+) (passed|failed|error)", told.splitlines()[-1])}
    failed = int(counts.get("failed", 0)) + int(counts.get("error", 0))
    seconds = re.search(r"in ([\d.]+)s", told.splitlines()[-1])
    minutes = f"{float(seconds[1]) / 60:.1f}" if seconds is not None else "?"
    SUITES.append((name, counts.get("passed", "0"), str(failed), minutes))
    assert not failed, told[-20_000:]
    assert "passed" in counts, told[-20_000:]


def test_the_releases_that_are_told_are_those_that_are_tested() -> None:
    """The guard at import lets exactly those by that the matrix has."""
    assert set(RELEASES) == TESTED


@pytest.mark.parametrize("name", [f"dask-{OLDEST}", pytest.param("newest-3.13", marks=pytest.mark.matrix)])
def test_the_ends_of_the_range(run_in: Callable[..., str], tmp_path: Path, name: str) -> None:
    """The oldest dask, which is dask-awkward's, and the newest on another Python pass the fast tier."""
    check(run_in, name, FAST, tmp_path / "base")


@pytest.mark.matrix
@pytest.mark.parametrize("release", RELEASES)
def test_a_release(run_in: Callable[..., str], tmp_path: Path, release: str) -> None:
    """The client's tests, those of steps, coffea's and the corpus pass."""
    check(run_in, f"dask-{release}", MORE, tmp_path / "base")
