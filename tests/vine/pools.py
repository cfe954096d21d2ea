"""Where the engines' tests run: what an engine takes to be tried here, and the steps that they run."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from dask import config

from cachingclient.vine import VineCluster
from cachingclient.vine.engine import EngineMissing, find_engine
from tests.services.sites import Sites
from tests.support.waiting import until

ENGINES = ["dask", "workqueue", "taskvine"]
POOLS = ["workqueue", "taskvine"]
DEBIAN_MODULES = Path("/usr/lib/python3/dist-packages")


@contextmanager
def place_for(engine: str, folder: Path) -> Iterator[None]:
    """Where an engine may be tried: managers of pools listen on every interface, so they get a network of their own.

    Skips, saying what is missing, where that can't be had.
    """
    if engine == "dask":
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        if engine == "workqueue":
            patch.syspath_prepend(_debian_modules(folder))
        try:
            find_engine(engine)
        except EngineMissing as error:
            pytest.skip(str(error))
        with Sites(folder, {}) as sites, sites["head"].entered():
            yield


def _debian_modules(folder: Path) -> str:
    """A folder with Work Queue's modules and nothing else of Debian's."""
    modules = folder / "modules"
    modules.mkdir(parents=True, exist_ok=True)
    for pattern in ("work_queue.py", "_work_queue.*.so", "resource_monitor.py", "_resource_monitor.*.so"):
        for module in DEBIAN_MODULES.glob(pattern):
            (modules / module.name).symlink_to(module)
    return str(modules)


def workers_of(cluster: VineCluster) -> dict[str, list[int]]:
    """The worker processes of each site."""
    if cluster.engine.proxied:
        return {name: [each.pid for each in workers.processes] for name, workers in cluster.engine._workers.items()}
    return {
        name: [cluster.workers[each].process.pid for each in cluster.workers_of(name) if cluster.workers[each].process]
        for name in cluster.sites
    }


def kill_worker(cluster: VineCluster, site: str, number: int = 0) -> None:
    """End a worker and its tasks without a word: its process group, or its process where that is all there is."""
    process = workers_of(cluster)[site][number]
    if os.getpgid(process) == process:
        os.killpg(process, signal.SIGKILL)
    else:
        os.kill(process, signal.SIGKILL)


def manager_of(cluster: VineCluster) -> psutil.Process:
    """The process of a pool's manager."""
    found = [
        each for each in psutil.Process().children() if "cachingclient.vine.engines.pool.manager" in each.cmdline()
    ]
    return next(each for each in found if each.cwd() == str(cluster.engine.folder))


class OutOfBeam(Exception):
    """An error of the user's own, with more than a text."""

    def __init__(self, run: int, why: str) -> None:
        super().__init__(run, why)
        self.run = run


def square(x: float) -> float:
    return x**2


def numbers(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(n)


def slowly(x: float, seconds: float = 0.3) -> float:
    time.sleep(seconds)
    return x + 1


def held_up(by: Path, x: float) -> float:
    """A task that ends when a file is made."""
    until(by.exists, f"{by.name} is made")
    return x + 1


def fail(run: int) -> None:
    raise OutOfBeam(run, "no beam")


def an_error_as_result(run: int) -> Exception:
    return OutOfBeam(run, "only noted")


def site_here(*_: Any) -> str | None:
    return config.get("cachingclient.site", None)


def end_process() -> None:
    os._exit(3)


def run_here(main: Callable[..., None], engine: str, *arguments: Any) -> None:
    """Run a program where an engine may be tried; say why not where it can't."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        try:
            with place_for(engine, Path(folder)):
                main(engine, *arguments)
        except pytest.skip.Exception as reason:
            sys.exit(str(reason))
