"""Versions that differ between client, scheduler and workers are said, and workers without the package do no harm."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

import cachingclient
from cachingclient import CacheWarning, DiracClient
from cachingclient.scheduler.version_check import VersionCheck
from cachingclient.versions import own_version
from tests.support.waiting import until
from tests.support.workers import BLOCKED, worker


@pytest.fixture
def empty() -> Iterator[LocalCluster]:
    """A cluster whose workers the test starts."""
    with LocalCluster(n_workers=0, dashboard_address=":0") as cluster:
        yield cluster


def test_a_worker_without_the_package_runs_graphs_as_dask_sends_them(
    empty: LocalCluster, tmp_path: Path, store_url: str
) -> None:
    """Results are right, nothing is kept, and a warning names the worker; when it is gone the cache is back."""
    (tmp_path / "blocked.py").write_text(BLOCKED)
    with worker(empty, tmp_path, tmp_path / "blocked.py"):
        with pytest.warns(CacheWarning, match="not used while workers have no cachingclient: tcp://"):
            client = DiracClient(empty, cache=store_url, policy="all")
        assert client.submit(pow, 2, 10).result(timeout=300) == 1024
        assert not list(client.cache.scan())
    with client:
        until(lambda: not client._worker_check.lacking)


def test_another_version_of_the_package_is_said_to_clients(
    empty: LocalCluster, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """Which worker has which, before it gets a task."""
    copy = tmp_path / "other" / "cachingclient"
    shutil.copytree(Path(cachingclient.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "units.py").write_text((copy / "units.py").read_text() + "\n# newer\n")
    empty.scheduler.add_plugin(VersionCheck())
    with Client(empty), worker(empty, tmp_path, "cachingclient.worker.startup", PYTHONPATH=str(copy.parent)):
        until(lambda: any(f"instead of {own_version()}" in str(each.message) for each in recwarn))
