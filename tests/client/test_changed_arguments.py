"""Steps that change what they are given: nothing of theirs is kept, and nothing of what the changed value led to."""

from __future__ import annotations

import collections
import heapq
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import dask.dataframe as dd
import hist
import numpy as np
import pandas as pd
import pytest
from distributed import LocalCluster

from cachingclient import DiracClient


def make(n: int) -> Any:
    return np.arange(n)


def double(values: Any) -> int:
    values *= 2
    return len(values)


def total(values: Any, after: Any = None) -> int:
    return int(np.sum(values))


def append(values: list[int]) -> int:
    values.append(7)
    return len(values)


class Table:
    def __init__(self) -> None:
        self.values = [1, 2, 3]

    @property
    def size(self) -> int:
        if not hasattr(self, "_size"):
            self._size = len(self.values)
        return self._size


def table(n: int) -> Table:
    return Table()


def size(given: Table) -> int:
    return given.size


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[[], DiracClient]]:
    """Workers in threads of this process, where steps share what they are given."""
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster:
        yield lambda: DiracClient(cluster, cache=(tmp_path / "cache").as_uri(), policy="all")


def run(connect: Callable[[], DiracClient], work: Callable[[DiracClient], Any]) -> tuple[Any, dict[str, Any]]:
    with connect() as client:
        value = work(client)
        client.flush()
        return value, {record.name: record for report in client.reports for record in report.records}


def test_a_step_that_changes_its_array(connect: Callable[[], DiracClient]) -> None:
    """The step is not kept, nor is one that takes the array after it; one that came before is."""

    def work(client: DiracClient) -> list[int]:
        made = client.submit(make, 4)
        before = client.submit(total, made).result()
        doubled = client.submit(double, made)
        return [before, doubled.result(), client.submit(total, made, doubled).result()]

    for _ in range(3):
        value, records = run(connect, work)
        assert value == [6, 4, 12]
        assert records["double"].action == "ran"
        assert "changed what it was given, a ndarray" in records["double"].note

    def alone(client: DiracClient) -> int:
        result: int = client.submit(total, client.submit(make, 4), 4).result()
        return result

    assert run(connect, alone)[0] == 6, "what was made of the changed array is filed under no step's key"


def test_a_list_among_the_arguments(connect: Callable[[], DiracClient]) -> None:
    """A list of the caller that is appended to is appended to in each session."""
    for _ in range(2):
        value, records = run(connect, lambda client: client.submit(append, [1, 2]).result())
        assert value == 3
        assert "changed what it was given, a list" in records["append"].note


def test_a_list_that_came_with_its_task(client: DiracClient) -> None:
    """In another process the step appends to a copy of its own: nobody else sees it, and the result is kept."""
    assert client.submit(append, [1, 2]).result() == 3
    client.flush()
    assert client.report is not None
    assert [record.kept for record in client.report.records] == [True]


def test_store_into_an_array(connect: Callable[[], DiracClient]) -> None:
    """`da.store` fills an array in each session."""
    for _ in range(2):
        target = np.zeros(10, dtype=int)
        run(connect, lambda client, target=target: da.store(da.arange(10, chunks=5) * 2, target, lock=False))
        assert target.tolist() == list(range(0, 20, 2))


def test_a_memory_of_an_object_is_no_change(connect: Callable[[], DiracClient]) -> None:
    """An attribute that is filled when it is first read does not keep the step from being kept."""
    run(connect, lambda client: client.submit(size, client.submit(table, 1)).result())
    value, records = run(connect, lambda client: client.submit(size, client.submit(table, 1)).result())
    assert value == 3
    assert records["size"].action == "loaded"


def weights(n: int) -> Any:
    return np.linspace(1, 2, n)


def events(n: int) -> list[int]:
    return list(range(n))


def queue(n: int) -> collections.deque[int]:
    return collections.deque(range(n))


def packet(n: int) -> bytearray:
    return bytearray(n)


def filled(n: int) -> hist.Hist:
    return hist.Hist.new.Reg(n, 0, 1, name="pt").Double().fill(pt=[0.1, 0.2])


def source(n: int) -> Any:
    return np.random.default_rng(n)


def exponentiate(values: Any) -> None:
    np.exp(values, values)


def negate(values: Any) -> None:
    values.__imul__(-1)


def push(values: list[int]) -> None:
    heapq.heappush(values, -4)


def take(values: collections.deque[int]) -> int:
    return values.popleft()


def stamp(values: bytearray) -> None:
    values[0] = 7


def empty(histogram: hist.Hist) -> None:
    histogram.reset()


def mark(given: Table) -> None:
    given.extra = 5  # type: ignore[attr-defined]


def mark_privately(given: Table) -> None:
    given._extra = 5  # type: ignore[attr-defined]


def draw(generator: Any) -> float:
    return float(generator.normal())


def shown(value: Any, after: Any) -> str:
    if isinstance(value, Table):
        return str([getattr(value, "extra", 0), getattr(value, "_extra", 0)])
    if isinstance(value, np.ndarray):
        return str(value.tolist())  # numpy's own text goes by its settings
    if isinstance(value, hist.Hist):
        return str(value.values().sum())
    return str(value.bit_generator.state["state"]) if isinstance(value, np.random.Generator) else repr(value)


def shown_again(value: Any, after: Any) -> str:
    return "again " + shown(value, after)


CHANGES = [(weights, exponentiate), (weights, negate), (events, push), (queue, take), (packet, stamp)]
CHANGES += [(filled, empty), (source, draw), (table, mark), (table, mark_privately)]


@pytest.mark.parametrize(("made", "change"), CHANGES, ids=lambda function: function.__name__)
def test_a_change_that_the_code_does_not_show(
    made: Callable[[int], Any], change: Callable[[Any], Any], make_client: Callable[..., DiracClient]
) -> None:
    """A new step after it finds what the first session found: the change is made again, not its result loaded."""
    told = []
    for look in (shown, shown_again):
        client = make_client(policy="all")
        worker = min(client.scheduler_info()["workers"])  # which holds the one object that all are given
        value = client.submit(made, 5, workers=worker)
        changed = client.submit(change, value, workers=worker)
        told.append(client.submit(look, value, changed, workers=worker).result())
        client.flush()
        client.close()
    expected = made(5)
    change(expected)
    assert told == [shown(expected, None), "again " + shown(expected, None)]


def toys(counts: Any, generator: np.random.Generator, into: list[float]) -> float:
    into.append(float(generator.normal()))
    return float(len(counts) + into[0])


def test_what_came_with_the_task_beside_a_result_is_its_own(make_client: Callable[..., DiracClient]) -> None:
    """A generator and a list of the caller's are copies in another process, which nobody else sees."""
    expected = 4 + float(np.random.default_rng(3).normal())
    for action in ("ran", "loaded"):
        client = make_client(policy="all")
        made = client.submit(make, 4)
        assert client.submit(toys, made, np.random.default_rng(3), []).result() == expected
        client.flush()
        assert client.report is not None
        assert [record.action for record in client.report.records if record.name == "toys"] == [action]
        client.close()


def test_a_library_changes_what_only_it_takes(make_client: Callable[..., DiracClient]) -> None:
    """The last step of dask's ``describe`` gives an index to what a step before it made: nobody else sees that."""
    frame = pd.DataFrame({"pt": [1.0, 2.0, 4.0, 8.0]})
    for ran in (True, False):
        client = make_client(policy="all")
        described = client.compute(dd.from_pandas(frame, npartitions=2).pt.describe(), sync=True)
        assert described["max"] == 8.0
        client.flush()
        assert client.report is not None
        assert any(record.action == "ran" for record in client.report.records) == ran
        client.close()
