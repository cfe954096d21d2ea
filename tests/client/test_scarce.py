"""Runs where something is scarce: memory, room on the disk, cores. Results are right, and what fits is kept."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from distributed import LocalCluster

from cachingclient import CacheWarning, DiracClient, config
from cachingclient.worker.process import process
from cachingclient.worker.recent_results import recent_results

LIMIT = 450_000_000


def fill(number: int) -> np.ndarray:
    return np.full(2_500_000, float(number))  # 20 MB


def add_up(values: np.ndarray) -> float:
    return float(values.sum())


def total(sums: list[float]) -> float:
    return sum(sums)


def room() -> tuple[int, int]:
    """What this worker may hold of results that wait to be written, and of those it remembers."""
    return process().writer.most_pending_bytes, recent_results().most_bytes


def test_what_a_worker_holds_leaves_room_in_its_memory(store_url: str) -> None:
    """Results of twice the memory that a worker has are kept and loaded, and it is the same worker at the end."""
    graph = dask.delayed(total)([dask.delayed(add_up)(dask.delayed(fill)(number)) for number in range(45)])
    with LocalCluster(
        n_workers=1, threads_per_worker=1, memory_limit=LIMIT, dashboard_address=None, processes=True
    ) as cluster:
        for run in range(2):
            with DiracClient(cluster, cache=store_url, policy="all") as client:
                worker = client.run(os.getpid)
                assert client.compute(graph).result() == 2_500_000 * sum(range(45))
                client.flush()
                assert client.report is not None
                counts = client.report.summary().total
                assert (counts.kept, counts.loaded) == ((91, 0) if run == 0 else (0, 1))
                assert list(client.run(room).values()) == [(LIMIT // 4, LIMIT // 8)]
                assert client.run(os.getpid) == worker


def test_a_worker_with_much_memory_holds_what_the_settings_say(make_client: Callable[..., DiracClient]) -> None:
    """The part of its memory is a bound beside them, no aim."""
    client = make_client()
    assert client.submit(add_up, np.ones(3)).result() == 3
    client.flush()
    memory = min(client.run(lambda dask_worker: dask_worker.memory_manager.memory_limit).values())
    expected = min(config.write_queue(), memory // 4), min(config.recent_results(), memory // 8)
    assert expected in client.run(room).values()


def huge(number: int) -> np.ndarray:
    return np.full(10_000_000, number)


def small(number: int) -> list[int]:
    return [number] * 10


def test_one_huge_result_costs_the_others_nothing(make_client: Callable[..., DiracClient], small_disk: Path) -> None:
    """It does not fit on the disk, which is told; the others are kept, and nothing of it is left."""
    graph = [dask.delayed(huge)(1), *[dask.delayed(small)(number) for number in range(5)]]
    for run in range(2):
        client = make_client(cache=small_disk.as_uri(), policy="all")
        with warnings.catch_warnings(record=True, action="always") as seen:
            found = client.gather(client.compute(graph))
            client.flush()
        assert [each for each in seen if each.category is CacheWarning and "No space left" in str(each.message)]
        assert (int(found[0].sum()), found[1:]) == (10_000_000, [[number] * 10 for number in range(5)])
        assert client.report is not None
        rows: dict[str, Any] = {row.name: row for report in client.reports for row in report.summary().rows}
        assert (rows["huge"].ran, rows["huge"].kept) == (1, 0)
        assert rows["small"].kept == (5 if run == 0 else 0)
        assert rows["small"].loaded == (0 if run == 0 else 5)
    assert sum(each.stat().st_size for each in small_disk.rglob("*") if each.is_file()) < 1_000_000


ONE_CORE = """
import os, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import dask
from cachingclient import DiracClient

def square(x):
    return x * x

def total(numbers):
    return sum(numbers)

if __name__ == "__main__":
    graph = dask.delayed(total)([dask.delayed(square)(n) for n in range(20)])
    for _ in range(2):
        with DiracClient(cache=sys.argv[1], policy="all", dashboard_address=None) as client:
            cores = sum(client.nthreads().values())
            print(cores, client.compute(graph).result(), client.report.summary().total.ran)
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux binds a process to a core")
def test_one_core(tmp_path: Path) -> None:
    """A client starts one worker of one thread there, keeps all, and finds it again."""
    script = tmp_path / "analysis.py"
    script.write_text(ONE_CORE)
    command = [sys.executable, str(script), (tmp_path / "cache").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["1 2470 21", "1 2470 0"], done.stderr
