"""A pool of workers that have dask and numpy, and nothing of ours: before `client.ship()` and after."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributed import Client

from cachingclient import CacheWarning, DiracClient
from tests.older.conftest import environment

CUTS = """
import os

def passes(pt):
    return pt > 30

def what_is_there():
    import cachingclient
    with open(os.environ["BEARER_TOKEN_FILE"]) as file:
        return cachingclient.__file__, file.read()
"""

pytestmark = pytest.mark.slow

Starter = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Start a program of dask in the pool's environment, in a folder of its own; all are ended."""
    python, started = environment("pool"), []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        command = [str(python), "-m", "dask", *arguments]
        started.append(subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield begin
    for each in started:
        each.terminate()
    for each in started:
        each.communicate(timeout=30)


@pytest.fixture
def scheduler(start: Starter) -> str:
    """The address of a scheduler that lacks the package."""
    begun = start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    for line in begun.stderr or ():
        if found := re.search(r"tcp://127\.0\.0\.1:\d+", line):
            return found[0]
    raise AssertionError("the scheduler told no address")


def add_worker(start: Starter, scheduler: str, workers: int) -> None:
    """Start a worker and wait for it."""
    start("worker", scheduler, "--nthreads", "1", "--no-dashboard")
    with Client(scheduler, set_as_default=False) as client:
        client.wait_for_workers(workers, timeout=60)


def test_a_pool_without_the_package_caches_once_it_is_shipped(
    start: Starter, scheduler: str, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, graphs run as dask's own, with a warning; after, results are kept, also those of workers that come later.

    A module of the user's and a token arrive, too.
    """
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cuts.py").write_text(CUTS)
    (tmp_path / "token").write_text("secret")
    (tmp_path / "token").chmod(0o600)
    monkeypatch.syspath_prepend(str(tmp_path / "mine"))
    cuts = importlib.import_module("cuts")
    add_worker(start, scheduler, 1)
    with pytest.warns(CacheWarning, match="no cachingclient"):
        client = DiracClient(scheduler, cache=store_url, policy="all")
    with client:
        assert client.submit(abs, -1).result() == 1
        assert not client.reports
        client.ship(cuts, token=str(tmp_path / "token"))
        assert client.submit(cuts.passes, 40).result() is True
        assert client.report is not None
        assert client.report.to_dict()["total"]["kept"] == 1
        add_worker(start, scheduler, 2)
        told = client.run(cuts.what_is_there)
        assert len(told) == 2
        assert all("cachingclient-shipped" in place and secret == "secret" for place, secret in told.values())
        client.gather(client.map(cuts.passes, range(20)))
        assert client.report.to_dict()["total"]["kept"] == 20
    with DiracClient(scheduler, cache=store_url, policy="all") as client:
        assert sum(client.gather(client.map(cuts.passes, range(20)))) == 0
        assert client.report is not None
        assert client.report.to_dict()["total"]["ran"] == 0
    sys.modules.pop("cuts")


def test_what_is_installed_stays(store_url: str, tmp_path: Path) -> None:
    """Workers that have the package go on with theirs."""
    with DiracClient(n_workers=1, dashboard_address=None, cache=store_url, policy="all") as client:
        client.ship()
        assert client.submit(abs, -1).result() == 1
        (place,) = client.run(lambda: sys.modules["cachingclient"].__file__).values()
        assert "cachingclient-shipped" not in str(place)


def test_what_is_no_module_is_refused(client: DiracClient) -> None:
    """The error names what was given."""
    with pytest.raises(ValueError, match="modules has 'no_such_module'; it takes modules with a file"):
        client.ship("no_such_module")
