"""What is advised of real runs, kept results and profiles."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import numpy as np
import pytest

from cachingclient import DiracClient, step
from cachingclient.plan.advice import MOST, advice
from cachingclient.plan.history import Counts, Run
from cachingclient.storage import Entry, Store, encode, open_store


def grind(number: int, seconds: float) -> float:
    """Take processor time; a library would be the same to the profile as code of the task."""
    end, value = time.perf_counter() + seconds, float(number)
    while time.perf_counter() < end:
        value = math.sin(value)
    return value


@step
def known(number: int) -> float:
    """A step inside a task."""
    return grind(number, 0.3)


def assign(number: int) -> float:
    """A function inside a task."""
    return grind(number, 0.5)


def process(number: int) -> float:
    """A task that nobody sees into."""
    return known(number) + assign(number)


def test_a_function_that_tasks_spend_their_time_in_is_named(store_url: str) -> None:
    """With its file and the task, as dask's profile of the workers saw it; what is a step already is not."""
    with DiracClient(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None, cache=store_url
    ) as client:
        client.gather(client.map(process, range(6), pure=False))
        client.run(time.sleep, 0)
        deadline = time.monotonic() + 60
        while "assign" not in (told := client.advise()) and time.monotonic() < deadline:
            client.gather(client.map(process, range(2), pure=False))
    line = next(line for line in told.splitlines() if line.startswith("assign"))
    assert "assign (test_advice.py) takes" in line
    assert line.endswith("inside process: mark it with @step")
    assert "known (" not in told


def test_a_touched_file_is_told_with_the_setting_that_helps(store_url: str, tmp_path: Path) -> None:
    """After a run that it made run again."""
    file = tmp_path / "events.txt"
    file.write_text("1 " * 100_000)  # smaller ones count by their content anyway,
    os.utime(file, (1, 1))  # and so do new ones

    with DiracClient(processes=False, dashboard_address=None, cache=store_url, policy="all") as client:
        assert client.advise() == "nothing to advise"
        client.get({"a": (_total, str(file)), "b": (round, "a")}, "b")
        client.flush()
        os.utime(file, (2, 2))
        client.get({"c": (_total, str(file)), "d": (round, "c")}, "d")
        assert "inputs: content" in str(client.report)
        assert "same size had steps run again once, which took" in client.advise()


def _total(path: str) -> float:
    return sum(map(float, Path(path).read_text().split()))


@pytest.fixture
def store(store_url: str) -> Store:
    """A store with a large result of each of two steps."""
    store = open_store(store_url)
    for number, name in enumerate(("load", "fill")):
        store.write(Entry((f"{number}" * 32,), "result", name, 1.0, {}, encode(np.random.rand(2_000_000))))
    return store


def run(number: int, **names: Counts) -> Run:
    """A run."""
    return Run(f"20260314-09265{number}-00", float(number), names)


def test_what_is_kept_in_vain_is_told(store: Store) -> None:
    """What ran again and again and was never loaded; not what was loaded once, or ran twice."""
    again, other = Counts(2, 2, 0, 1.0), Counts(2, 1, 1, 1.0)
    runs = [run(number, load=again, fill=other if number == 1 else again) for number in range(3)]
    (told,) = advice(store, runs, {})
    assert told.startswith("load ran in 3 runs and was loaded in none; what is kept of it takes 16 MB: mark it")
    assert list(advice(store, runs[:2], {})) == []


def test_there_are_three_lines_at_most(store: Store) -> None:
    """Whatever there is to tell."""
    again = Counts(2, 2, 0, 1.0)
    profile = {
        "count": 100,
        "description": {},
        "children": {
            "task": {
                "count": 100,
                "description": {"filename": "/home/a/ana.py", "name": "process"},
                "children": {
                    name: {"count": 50, "description": {"filename": "/home/a/ana.py", "name": name}, "children": {}}
                    for name in ("two", "one")
                },
            }
        },
    }
    touched = {
        "load": "a.root has another time, the same size: with the setting inputs: content only its content counts"
    }
    runs = [Run("20260314-092650-00", 1.0, {"load": again, "fill": again}, touched)] * 3
    told = list(advice(store, runs, profile))
    assert len(told) == MOST
    assert "3 times" in told[0]
    assert told[1] == "one (ana.py) takes 50% of the time of all tasks, inside process: mark it with @step"
