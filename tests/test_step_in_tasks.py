"""`@step` in graphs, inside tasks that dask can't see into, and in the processes of pools."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import numpy as np
import pytest

from cachingclient import step
from cachingclient.storage import open_store

if TYPE_CHECKING:
    from cachingclient import DiracClient

ROOT = Path(__file__).parents[1]


def test_steps_inside_a_task_are_kept_on_the_worker(make_client: Callable[..., DiracClient], store_url: str) -> None:
    """An opaque task that has to run again finds the results of its steps in the client's store."""

    def make(offset: int) -> Any:
        @step
        def slow(value: int) -> int:
            return value * 10

        def opaque(value: int) -> int:
            return int(slow(value)) + offset

        return opaque

    with_one = make_client()
    assert with_one.submit(make(1), 4).result() == 41
    with_one.flush()
    assert {info.name for info in open_store(store_url).scan() if info.kind == "result"} == {"opaque", "slow"}
    again = make_client()
    assert again.submit(make(2), 4).result() == 42
    report = again.report
    assert report is not None
    assert {(record.name, record.action) for record in report.records} == {("slow", "cut off"), ("opaque", "ran")}


def test_steps_inside_a_task_that_always_runs(make_client: Callable[..., DiracClient], store_url: str) -> None:
    """Steps in a task that is itself never kept use the client's store, not the configured one."""

    @step
    def slow(value: int) -> int:
        return value * 10

    def opaque(value: int) -> int:
        return int(slow(value)) + 1

    first = make_client()
    assert first.submit(opaque, 4, pure=False).result() == 41
    first.flush()
    assert {info.name for info in open_store(store_url).scan() if info.kind == "result"} == {"slow"}


def test_an_equal_call_saves_what_the_first_took(client: DiracClient) -> None:
    """The report counts the time of the run in place of which a result came from the worker's memory."""

    @step
    def slow(value: int) -> float:
        return float(np.linalg.svd(np.full((300, 300), value) + np.eye(300))[1][0])

    def opaque(value: int) -> bool:
        return slow(value) == slow(value)

    assert client.submit(opaque, 4).result()
    assert client.report is not None
    records = {record.action: record for record in client.report.records if record.name == "slow"}
    assert records["cut off"].saved == records["ran"].seconds


def test_variadic_arguments_in_a_graph(make_client: Callable[..., DiracClient]) -> None:
    """Results of other tasks count by what they are, also among variadic arguments and beside ignored ones."""

    @step(ignore=["threads"])
    def total(*values: int, threads: int = 1) -> int:
        return sum(values)

    def graph(value: int) -> Any:
        return dask.delayed(total)(dask.delayed(int)(value, dask_key_name="input"), 1, threads=value)

    client = make_client()
    assert client.compute(graph(1), sync=True) == 2
    client.flush()
    other = make_client()
    assert other.compute(graph(5), sync=True) == 6
    assert make_client().compute(graph(1), sync=True) == 2


def test_a_bound_step_in_a_graph(make_client: Callable[..., DiracClient]) -> None:
    """A method that is a step depends, as a task too, only on what it reads."""

    class Selection:
        def __init__(self) -> None:
            self.cut, self.label = 30, "jets"

        @step
        def select(self, pt: Any) -> Any:
            return pt[pt > self.cut]

    analysis = Selection()
    first = make_client()
    assert first.submit(analysis.select, np.arange(40)).result().tolist() == list(range(31, 40))
    first.flush()
    analysis.label = "other"
    second = make_client()
    assert second.submit(analysis.select, np.arange(40)).result().tolist() == list(range(31, 40))
    assert [planned.action for planned in second.reports[-1].plan.steps.values()] == ["load"]


PROGRAM = """
import concurrent.futures, sys
import loky
from steps import total

if __name__ == "__main__":
    pool = {"loky": loky.ProcessPoolExecutor, "processes": concurrent.futures.ProcessPoolExecutor}[sys.argv[1]]
    with pool(max_workers=1) as executor:
        print(executor.submit(total, 5).result())
"""
STEPS = """
import sys
from cachingclient import step

@step
def total(value):
    print("ran", file=sys.stderr)
    return sum(range(value))
"""


@pytest.mark.parametrize("pool", ["loky", "processes"])
def test_steps_in_pools_are_kept(pool: str, tmp_path: Path, store_url: str) -> None:
    """In the processes of a pool, which end abruptly, results are kept too: a second program runs nothing."""
    pytest.importorskip("loky")
    (tmp_path / "main.py").write_text(PROGRAM)
    (tmp_path / "steps.py").write_text(STEPS)
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "DASK_CACHINGCLIENT__STORE": store_url,
        "DASK_CACHINGCLIENT__POLICY": "all",
    }
    outputs = [
        subprocess.run(
            [sys.executable, "main.py", pool],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        for _ in range(2)
    ]
    assert [output.stdout for output in outputs] == ["10\n", "10\n"]
    assert [output.stderr.count("ran") for output in outputs] == [1, 0]
