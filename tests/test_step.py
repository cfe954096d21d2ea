"""`@step` called in plain Python: what counts, what is kept, and what is refused."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest

from cachingclient import CacheWarning, step
from cachingclient.storage import open_store
from cachingclient.worker.context import configured_context
from cachingclient.worker.process import process
from tests.support.counting import (  # noqa: F401 - fixtures are found by their names
    as_in_another_process,
    count_from_zero,
    counter,
    in_plain_python,
)


@step
def double(values: Any) -> Any:
    """A step of one argument."""
    counter()
    return values * 2


def test_equal_calls_run_once() -> None:
    """The second call gets the first one's result, from memory; a call with other values runs."""
    assert [double(np.arange(3)).tolist() for _ in range(2)] == [[0, 2, 4]] * 2
    assert counter.count == 1
    assert double(np.arange(4)).tolist() == [0, 2, 4, 6]
    assert counter.count == 2


def test_a_result_is_found_in_the_store() -> None:
    """With nothing in memory the result comes from the store."""
    double(np.arange(3))
    as_in_another_process()
    assert double(np.arange(3)).tolist() == [0, 2, 4]
    assert counter.count == 1


def test_what_is_remembered_is_kept_in_each_store(tmp_path: Path) -> None:
    """A result that is in memory from work with one store still goes into another."""
    double(np.arange(3))
    other = (tmp_path / "other").as_uri()
    configured_context.cache_clear()
    with dask.config.set({"cachingclient.store": other}):
        double(np.arange(3))
    process().writer.flush()
    assert counter.count == 2
    assert [info.name for info in open_store(other).scan()] == ["double"]


def test_results_may_be_changed_by_who_gets_them() -> None:
    """What one caller does to a result in place is not seen by the next, nor by the store."""
    for _ in range(3):
        result = double(np.arange(3))
        assert result.tolist() == [0, 2, 4]
        result += 100
    as_in_another_process()
    assert double(np.arange(3)).tolist() == [0, 2, 4]


def test_a_step_that_changes_its_argument_is_not_kept() -> None:
    """It runs every time, and a warning says why."""

    @step
    def add_one(values: Any) -> Any:
        counter()
        values += 1
        return values.sum()

    with pytest.warns(CacheWarning, match="add_one: not kept: it changed what it was given, a ndarray"):
        assert add_one(np.arange(3)) == 6
    assert add_one(np.arange(3)) == 6
    assert counter.count == 2
    process().writer.flush()
    assert list(open_store(configured_context().store).scan()) == []  # type: ignore[union-attr]


def test_a_step_that_changes_its_object_is_not_kept() -> None:
    """A method that writes to self runs every time, so that what it writes is there."""

    class Counts:
        def __init__(self) -> None:
            self.seen = 0

        @step
        def look(self, value: int) -> int:
            self.seen += 1
            return value + self.seen

    counts = Counts()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        assert [counts.look(1), counts.look(1), Counts().look(1)] == [2, 3, 2]
    assert counts.seen == 2


def test_steps_call_steps() -> None:
    """A step inside a step is looked up on its own: it is found when the outer one has to run."""

    def outer(factor: int) -> Any:
        @step
        def scaled(values: Any) -> Any:
            return double(values) * factor

        return scaled

    assert outer(3)(np.arange(3)).tolist() == [0, 6, 12]
    as_in_another_process()
    assert outer(5)(np.arange(3)).tolist() == [0, 10, 20]
    assert counter.count == 1


def test_a_failure_is_raised_and_not_kept() -> None:
    """A step that raises does so each time."""

    @step
    def fail(value: int) -> int:
        counter()
        raise ValueError(f"no {value}")

    for _ in range(2):
        with pytest.raises(ValueError, match="no 3"):
            fail(3)
    assert counter.count == 2


def test_a_store_that_fails_costs_the_keeping_only(tmp_path: Path) -> None:
    """With a store that can't be written the step gives its result all the same."""
    (tmp_path / "file").write_text("in the way")
    configured_context.cache_clear()
    with dask.config.set({"cachingclient.store": (tmp_path / "file").as_uri()}), warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        assert double(np.arange(3)).tolist() == [0, 2, 4]


def test_an_argument_without_identity_runs_the_step() -> None:
    """An open file has no content to go by: the step runs each time, and a warning says why."""

    @step
    def first_line(file: Any) -> str:
        counter()
        line: str = file.readline()
        return line

    with open(__file__) as file, pytest.warns(CacheWarning, match="step first_line: not kept: an open file"):
        assert first_line(file) != first_line(file)
    assert counter.count == 2


def test_steps_are_safe_in_threads() -> None:
    """Many threads that call the same steps get the right results."""
    results: dict[int, list[int]] = {}

    def work(number: int) -> None:
        results[number] = [int(double(np.array([value]))[0]) for value in range(20)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(results.values()) == [[2 * value for value in range(20)]] * 4


def test_ignored_arguments_and_versions() -> None:
    """What is ignored changes no key, a version does."""

    def make(version: int) -> Any:
        @step(version=version, ignore=["threads"])
        def total(values: Any, threads: int = 1) -> int:
            counter()
            return int(values.sum())

        return total

    make(1)(np.arange(3), threads=1)
    make(1)(np.arange(3), threads=8)
    assert counter.count == 1
    make(2)(np.arange(3), threads=8)
    assert counter.count == 2


def test_arguments_count_however_they_are_given() -> None:
    """By position or by name, in any order, a call is the same; variadic arguments are told apart."""

    @step(ignore=["threads"])
    def count(a: int, /, b: int = 0, *more: int, threads: int = 1, **named: int) -> int:
        counter()
        return a + 10 * b + 100 * sum(more) + sum(named.values())

    assert count(1, 2) == count(1, b=2) == count(1, threads=4, b=2) == 21
    assert counter.count == 1
    assert count(1, 2, 3) == 321
    assert count(1, 2, x=1, y=2) == count(1, 2, y=2, x=1) == 24
    assert count(1, 2, a=3) == 24
    assert count(1, 2, b_=3) == 24
    assert counter.count == 5
    with pytest.raises(TypeError):
        count()  # type: ignore[call-arg]


def test_uncached_steps_run() -> None:
    """With cache=False every call runs."""

    @step(cache=False)
    def again(value: int) -> int:
        counter()
        return value

    assert (again(1), again(1), counter.count) == (1, 1, 2)


def test_a_draw_without_a_seed_is_drawn_each_time() -> None:
    """Two calls of a step that draws random numbers give two numbers."""

    @step
    def draw() -> float:
        return float(np.random.default_rng().random())

    with pytest.warns(CacheWarning, match="step draw: not kept: .* without a seed"):
        assert draw() != draw()


def test_results_of_a_limited_age_are_not_remembered_beyond_it() -> None:
    """A step with a time to live does not get results from memory, which knows no age."""

    @step(ttl=1e-9)
    def short(value: int) -> int:
        counter()
        return value

    short(1)
    process().writer.flush()
    short(1)
    assert counter.count == 2
