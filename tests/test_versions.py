"""Versions that differ between client, scheduler and workers are said, and workers without the package do no harm."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

import cachingclient
from cachingclient import CacheWarning, DiracClient
from cachingclient.versions import VersionCheck, own_version
from tests.waiting import until

BLOCKED = "import sys\nsys.modules['cachingclient'] = None\n"


@pytest.fixture
def empty() -> Iterator[LocalCluster]:
    """A cluster whose workers the test starts."""
    with LocalCluster(n_workers=0, dashboard_address=":0") as cluster:
        yield cluster


@contextmanager
def worker(cluster: LocalCluster, folder: Path, preload: str | Path, **environment: str) -> Iterator[None]:
    """A worker in a process of its own."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address]
    command += ["--no-nanny", "--no-dashboard", "--preload", str(preload)]
    # Not here, where this package is.
    process = subprocess.Popen(
        command, cwd=folder, env={"PATH": "/usr/bin:/bin", **environment}, stderr=subprocess.DEVNULL
    )
    try:
        cluster.wait_for_workers(1, timeout=300)
        yield
    finally:
        process.terminate()
        process.wait(300)


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
        until(lambda: not client._fitness.lacking)


def test_another_version_of_the_package_is_said_to_clients(
    empty: LocalCluster, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """Which worker has which, before it gets a task."""
    copy = tmp_path / "other" / "cachingclient"
    shutil.copytree(Path(cachingclient.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "report.py").write_text((copy / "report.py").read_text() + "\n# newer\n")
    empty.scheduler.add_plugin(VersionCheck())
    with Client(empty), worker(empty, tmp_path, "cachingclient.preload", PYTHONPATH=str(copy.parent)):
        until(lambda: any(f"instead of {own_version()}" in str(each.message) for each in recwarn))
