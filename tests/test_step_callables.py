"""A step is a drop-in callable: whatever can be called can be marked, and a step pickles as its function would."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import dask
import numpy as np
import pytest

from cachingclient import DiracClient, step
from tests.support.reported import counts

ROOT = Path(__file__).parents[1]


class Scale:
    """An object that can be called."""

    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, x: float) -> float:
        """Scale a number."""
        return x * self.by

    def doubled(self, x: float) -> float:
        """Scale a number twice."""
        return x * self.by * 2


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@functools.lru_cache
def cached(x: int) -> int:
    """Add one, with a memory."""
    return x + 1


@step
def marked(x: int) -> int:
    """Add one."""
    return x + 1


class Analysis:
    """Steps in a class, in every way of writing them."""

    base = 10

    @step
    def method(self, x: int) -> int:
        """Of an object."""
        return self.base + x

    @step
    @staticmethod
    def static(x: int) -> int:
        """Of nothing; the step outside."""
        return x + 2

    @staticmethod
    @step
    def static_inside(x: int) -> int:
        """Of nothing; the step inside."""
        return x + 3

    @step
    @classmethod
    def of_class(cls, x: int) -> int:
        """Of the class; the step outside."""
        return cls.base + x + 4

    @classmethod
    @step
    def of_class_inside(cls, x: int) -> int:
        """Of the class; the step inside."""
        return cls.base + x + 5


CALLABLES: dict[str, tuple[Callable[..., Any], Any, str]] = {
    "partial": (functools.partial(add, 1), 3, "add"),
    "partial of a partial": (functools.partial(functools.partial(add, b=1)), 3, "add"),
    "object": (Scale(3), 6, "Scale"),
    "bound method": (Scale(3).doubled, 12, "doubled"),
    "cached function": (cached, 3, "cached"),
    "builtin": (max, 2, "max"),
    "ufunc": (np.negative, -2, "negative"),
    "class": (Scale, 2, "Scale"),
    "lambda": (lambda x: x + 5, 7, "<lambda>"),
}


@pytest.mark.parametrize("name", CALLABLES)
def test_whatever_can_be_called_can_be_marked(name: str, make_client: Callable[..., DiracClient]) -> None:
    """As a task on a worker and as a call: the value is right, it is kept, and the report has a name that tells."""
    function, right, shown = CALLABLES[name]
    argument: Any = (1, 2) if name == "builtin" else 2

    def value(result: Any) -> Any:
        return result.by if isinstance(result, Scale) else result

    assert value(step(function)(argument)) == right
    client = make_client(policy="all")
    assert value(client.submit(step(function), argument).result()) == right
    report = client.report
    assert report is not None
    assert [record.name for record in report.records] == [dask.utils.key_split(shown)]
    assert counts(client) == (1, 0, 1)


def test_steps_of_a_class_are_called_as_python_would() -> None:
    """In either order with staticmethod and classmethod, on the class and on an object."""
    one = Analysis()
    assert [one.method(1), one.static(1), one.static_inside(1), one.of_class(1), one.of_class_inside(1)] == [
        11, 3, 4, 15, 16,
    ]  # fmt: skip
    assert [Analysis.static(1), Analysis.static_inside(1), Analysis.of_class(1), Analysis.of_class_inside(1)] == [
        3, 4, 15, 16,
    ]  # fmt: skip
    for bound in (one.method, one.static, one.static_inside, one.of_class, one.of_class_inside):
        assert list(inspect.signature(bound).parameters) == ["x"]
        assert pickle.loads(pickle.dumps(bound))(1) == bound(1)
        assert cloudpickle.loads(cloudpickle.dumps(bound))(1) == bound(1)


@pytest.mark.parametrize("made", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_step_pickles_by_name_as_functions_do(made: Callable[[Any], Any]) -> None:
    """It is the very step again, in a class too; one that stands under no name takes its function along."""
    assert made(marked) is marked
    assert made(Analysis.static) is Analysis.static
    assert made(step(functools.partial(add, 1)))(2) == 3
    assert made(step(Scale(3)))(2) == 6


def test_a_step_shows_the_signature_of_what_it_marks() -> None:
    """As documentation and completion look for it."""
    assert list(inspect.signature(marked).parameters) == ["x"]
    assert list(inspect.signature(step(functools.partial(add, 1))).parameters) == ["b"]
    assert list(inspect.signature(step(Scale(1))).parameters) == ["x"]
    assert inspect.unwrap(marked).__name__ == "marked"


async def waits(x: int) -> int:
    """A coroutine function."""
    await asyncio.sleep(0)
    return x


def counted(x: int) -> Iterator[int]:
    """A generator function."""
    yield x


@pytest.mark.parametrize(("function", "why"), [(waits, "is a coroutine"), (counted, "is a generator")])
def test_functions_without_a_result_to_keep_are_refused(function: Callable[..., Any], why: str) -> None:
    """The error names the function and says why; in a partial and as a method too."""
    for each in (function, functools.partial(function, 1)):
        with pytest.raises(TypeError, match=f"{function.__name__} {why}"):
            step(each)


def test_an_annotation_leaves_coroutine_functions_alone(make_client: Callable[..., DiracClient]) -> None:
    """Options for a region of a graph are no reason for its coroutine tasks to fail."""
    client = make_client(policy="all")
    with dask.annotate(cache={"ttl": 3600}):
        assert client.submit(waits, 3).result() == 3
        assert client.submit(add, 1, 2).result() == 3


SCRIPT = """
import multiprocessing, pickle, sys
from cachingclient import step
from distributed import Client, LocalCluster

@step
def marked(x):
    return x + 1

class Analysis:
    @step
    @staticmethod
    def static(x):
        return x + 2

if __name__ == "__main__":
    assert pickle.loads(pickle.dumps(marked)) is marked
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(marked, [1, 2]), pool.map(Analysis.static, [1, 2]))
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        print(client.gather(client.map(marked, [1, 2])), client.submit(Analysis.static, 1).result())
"""


def test_steps_of_a_script_reach_pools_by_name_and_workers_by_value(tmp_path: Path) -> None:
    """As its plain functions do: a spawned process has the script, a dask worker has not."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_CACHINGCLIENT__STORE": (tmp_path / "cache").as_uri()}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["[2, 3] [3, 4]", "[2, 3] 3"], done.stderr
