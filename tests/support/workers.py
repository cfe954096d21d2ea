"""Schedulers and workers in processes of their own, some without this package."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed import Client, LocalCluster

BLOCKED = "import sys\nsys.modules['cachingclient'] = None\n"
"""A preload after which the package can't be imported."""


@contextmanager
def worker(
    cluster: LocalCluster | str, folder: Path, preload: str | Path, number: int = 1, **environment: str
) -> Iterator[None]:
    """A worker in a process of its own, once there are so many."""
    address = cluster if isinstance(cluster, str) else cluster.scheduler_address
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address]
    command += ["--no-nanny", "--no-dashboard", "--nthreads", "1", "--preload", str(preload)]
    # Not here, where this package is.
    process = subprocess.Popen(
        command, cwd=folder, env={"PATH": "/usr/bin:/bin", **environment}, stderr=subprocess.DEVNULL
    )
    try:
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(number, timeout=300)
        yield
    finally:
        process.terminate()
        process.wait(300)


@contextmanager
def scheduler(folder: Path, preload: str | Path) -> Iterator[str]:
    """A scheduler in a process of its own; its address."""
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    command += ["--no-dashboard", "--preload", str(preload)]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    try:
        found = (re.search(r"tcp://127\.0\.0\.1:\d+", line) for line in process.stderr or ())
        yield next(address[0] for address in found if address)
    finally:
        process.terminate()
        process.communicate(timeout=300)
