"""Results that can't be kept or are changed in place, and broken stores: right results, with a warning."""

from __future__ import annotations

import subprocess
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest

from cachingclient import DiracClient
from tests.support.reported import results_kept
from tests.support.rights import as_another_user


def increment(x: Any) -> Any:
    return x + 1


def block(number: int) -> np.ndarray:
    return np.full(100_000, number)


def count_up(x: int) -> Any:
    return (number for number in range(x))


def lock_of(x: int) -> Any:
    return threading.Lock()


def total(numbers: Any) -> int:
    return sum(numbers)


def is_lock(value: Any) -> bool:
    return hasattr(value, "acquire")


def negate_in_place(values: np.ndarray) -> float:
    values *= -1
    return float(values.sum())


def sort_in_place(values: list[int]) -> list[int]:
    values.sort()
    return values


def numbers() -> list[int]:
    return [3, 1, 2]


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[None]:
    """A small file system of its own, where the machine allows that."""
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", folder], capture_output=True)
    if made.returncode:
        pytest.skip("file systems can't be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize(("function", "use", "expected"), [(count_up, total, 10), (lock_of, is_lock, True)])
def test_unserialisable_results(
    client: DiracClient, function: Callable[..., Any], use: Callable[..., Any], expected: Any
) -> None:
    """A result that can't be serialised is kept nowhere; the steps after it are right, and there is one warning."""
    things = [dask.delayed(function)(5) for _ in range(6)]
    with warnings.catch_warnings(record=True, action="always") as seen:
        results = client.compute([dask.delayed(use)(thing) for thing in things], sync=True)
        client.flush()
    assert results == [expected] * 6
    assert len([warning for warning in seen if "can't be serialised" in str(warning.message)]) == 1
    assert set(results_kept(client)) <= {use.__name__}


# ---- results that are changed ----


def test_changing_an_input_changes_no_entry(make_client: Callable[..., DiracClient]) -> None:
    """A step that changes its input in place does not change what is kept, and finds a loaded input writable."""
    for _ in range(3):
        client = make_client()
        values = client.submit(block, 2, key="values")
        assert values.result().sum() == 200_000
        client.flush()
        assert client.submit(negate_in_place, values, key="negated", pure=False).result() == -200_000
        client.close()
    last = make_client()
    assert last.submit(block, 2).result().sum() == 200_000


def test_small_inputs_changed_in_place(make_client: Callable[..., DiracClient]) -> None:
    """A list that a later step sorts in place is kept as its own step made it."""
    client = make_client()
    unsorted = dask.delayed(numbers)()
    assert dask.delayed(sort_in_place)(unsorted).compute() == [1, 2, 3]
    client.close()
    again = make_client()
    assert again.submit(numbers).result() == [3, 1, 2]


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_loaded_arrays_are_writable(make_client: Callable[..., DiracClient], size: int) -> None:
    """A loaded array can be written to, as a computed one can."""
    for _ in range(2):
        client = make_client()
        array = client.submit(np.arange, size).result()
        array += 1
        assert array[0] == 1
        assert client.submit(np.arange, size, key="second").result()[0] == 0
        client.close()


# ---- stores that go wrong ----


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_full_disk(make_client: Callable[..., DiracClient], cache_folder: Path) -> None:
    """On a full disk the results are right, what did not fit is run again next time, and the report says why."""
    with tmpfs(cache_folder, "2m"):
        for _ in range(2):
            client = make_client()
            results = client.gather(client.map(block, range(8)))
            assert [int(result[0]) for result in results] == list(range(8))
            assert "No space left" in str(client.report)
            assert client.report is not None
            assert client.report.summary().total.kept < 8
            client.close()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_folder_that_turns_read_only(make_client: Callable[..., DiracClient], cache_folder: Path) -> None:
    """A store on a file system that is mounted read-only is read, and nothing fails."""
    with tmpfs(cache_folder, "20m"):
        writer = make_client()
        writer.gather(writer.map(block, range(3)))
        writer.close()
        subprocess.run(["mount", "-o", "remount,ro", cache_folder], check=True)
        reader = make_client()
        assert [int(result[0]) for result in reader.gather(reader.map(block, range(5)))] == list(range(5))
        assert reader.report is not None
        assert (reader.report.summary().total.loaded, reader.report.summary().total.kept) == (3, 0)


def test_folder_without_write_permission(make_client: Callable[..., DiracClient], cache_folder: Path) -> None:
    """A cache folder that may not be written costs a warning."""
    cache_folder.mkdir(mode=0o555)
    with as_another_user(cache_folder), pytest.warns(UserWarning, match="nothing will be kept"):
        client = make_client()
    assert client.submit(increment, 1).result() == 2


def test_folder_that_cannot_be_made(make_client: Callable[..., DiracClient]) -> None:
    """A cache folder in a place where none can be made costs a warning."""
    with pytest.warns(UserWarning, match="runs without the cache|nothing will be kept"):
        client = make_client(cache="file:///proc/cache")
    assert client.submit(increment, 1).result() == 2
    assert dask.delayed(increment)(4).compute() == 5
