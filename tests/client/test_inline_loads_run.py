"""Kept results are read by the steps that take them where that is cheaper, and nobody can tell but by the time."""

from __future__ import annotations

from collections.abc import Callable
from operator import add
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from dask.delayed import Delayed

from cachingclient import DiracClient
from cachingclient.graph import Task
from cachingclient.storage import EntryInfo
from cachingclient.worker.held import READER
from cachingclient.worker.load import RunOnLoaded

COUNT = 6


def block(number: int) -> np.ndarray:
    return np.full(20_000, number)


def small(number: int) -> int:
    return number * 10


def merged(*parts: Any) -> float:
    return float(sum(np.sum(part) for part in parts))


def highest(parts: list[Any], others: dict[str, Any]) -> float:
    return float(max(np.max(part) for part in [*parts, *others.values()]))


def negate_in_place(values: np.ndarray) -> float:
    values *= -1
    return float(values.sum())


def failing(*parts: Any) -> float:
    raise ValueError(f"no {len(parts)} parts")


BLOCKS = [dask.delayed(block, pure=True)(number) for number in range(COUNT)]
TOTAL = 20_000.0 * sum(range(COUNT))


@pytest.fixture
def warm(make_client: Callable[..., DiracClient]) -> DiracClient:
    """A client whose store has the blocks, and nothing that is made of them."""
    cold = make_client()
    cold.gather(cold.compute(BLOCKS))
    cold.close()
    return make_client()


def sent(client: DiracClient, top: Delayed) -> dict[str, list[Any]]:
    """What computing a step sends: the functions of its tasks, by the name of the step."""
    future = client.compute(top)
    found: dict[str, list[Any]] = {}
    for node in client._registry.runs[future.key].sent.values():
        found.setdefault(type(node.func).__name__, []).append(node.func)  # type: ignore[attr-defined]
    future.result()
    return found


def counts(client: DiracClient) -> tuple[int, int]:
    """How many steps the last graph loaded and ran."""
    assert client.report is not None
    total = client.report.summary().total
    return total.loaded, total.ran


def test_inputs_are_read_inside(warm: DiracClient) -> None:
    """A step over kept blocks is the only task, gives the right result, and the report tells of every block."""
    found = sent(warm, dask.delayed(merged)(*BLOCKS))
    assert found.keys() == {"RunOnLoaded"}
    assert counts(warm) == (COUNT, 1)
    row = next(row for row in warm.report.summary().rows if row.name == "block")  # type: ignore[union-attr]
    assert (row.loaded, row.bytes_loaded > COUNT * 160_000) == (COUNT, True)


def test_inputs_in_containers_and_from_tasks(warm: DiracClient) -> None:
    """Inputs are found wherever they are among the arguments, beside results that other tasks give."""
    new = dask.delayed(block)(77)
    top = dask.delayed(highest)([BLOCKS[0], new], others={"x": BLOCKS[2], "y": dask.delayed(small)(3)})
    assert warm.compute(top).result() == 77
    assert counts(warm) == (2, 3)


def test_two_takers(warm: DiracClient) -> None:
    """Each of two steps gets an array of its own: what one does to it the other does not see."""
    tops = [dask.delayed(negate_in_place)(BLOCKS[2]), dask.delayed(merged)(BLOCKS[2])]
    assert dask.compute(*tops, scheduler=warm) == (-40_000.0, 40_000.0)
    assert counts(warm) == (1, 2)


def test_a_block_that_is_asked_for_as_well(warm: DiracClient) -> None:
    """What the user takes too is a task, whose result both get."""
    total, one = warm.compute([dask.delayed(merged)(*BLOCKS), BLOCKS[1]])
    assert (total.result(), one.result()[0]) == (TOTAL, 1)
    assert counts(warm) == (COUNT, 1)


def test_later_graphs_with_the_same_keys(warm: DiracClient) -> None:
    """What was read inside a step of one graph is there for the next, wanted or as an input."""
    with dask.annotate(cache=False):
        middle = dask.delayed(merged, pure=True)(*BLOCKS)
    first = warm.compute(middle)
    assert first.result() == TOTAL
    second = warm.compute(dask.delayed(max)(middle, 1))
    third = warm.compute(dask.delayed(highest)(BLOCKS[3:], {}))
    assert (second.result(), third.result()) == (TOTAL, COUNT - 1)
    assert warm.compute(BLOCKS[4]).result()[0] == 4


def test_a_key_comes_back_with_other_inputs(warm: DiracClient) -> None:
    """A step that the scheduler holds with its inputs inside may be sent again when these have to be computed."""
    with dask.annotate(cache=False):
        middle = dask.delayed(merged, pure=True)(*BLOCKS)
        tops = [dask.delayed(add, pure=True)(middle, number) for number in range(2)]
    one = warm.compute(tops[0])
    assert one.result() == TOTAL
    assert warm.cache is not None
    warm.cache.delete([info.key for info in list(warm.cache.scan()) if info.name == "block"])
    two = warm.compute(tops[1])
    assert two.result() == TOTAL + 1
    assert counts(warm) == (0, COUNT + 2)


def test_persisted_collections(warm: DiracClient) -> None:
    """What is persisted is computed from blocks that it reads, and stays."""
    persisted = warm.persist(dask.delayed(merged)(*BLOCKS[:3]))
    assert persisted.compute() == 60_000.0
    assert warm.compute(dask.delayed(add)(persisted, BLOCKS[0][0])).result() == 60_000.0


def test_equal_inputs_are_found_by_content(warm: DiracClient, make_client: Callable[..., DiracClient]) -> None:
    """The content key of a step is the same whether its inputs were read in it, came from tasks, or ran."""
    expected = warm.compute(dask.delayed(merged)(*BLOCKS)).result()
    warm.flush()
    assert counts(warm) == (COUNT, 1)
    other = make_client()

    def block_again(number: int) -> np.ndarray:
        return np.full(10_000, number, dtype=np.int64).repeat(2)

    again = [dask.delayed(block_again)(number) for number in range(COUNT)]
    assert other.compute(dask.delayed(merged)(*BLOCKS[:3], *again[3:])).result() == expected
    assert other.report is not None
    assert other.report.summary().total.cut_off == 1


def by_reader(client: DiracClient) -> list[bool]:
    """Whether each task that the last graph sent reads for another."""
    run = max(client._registry.runs.values(), key=lambda run: run.number)
    return [str(key).startswith(READER) for key in run.sent]


def test_inputs_from_earlier_maps_are_read_inside(warm: DiracClient) -> None:
    """What an earlier map found is read by the new step over it, without a task between."""
    blocks = warm.map(block, range(COUNT))
    total = warm.submit(merged, *blocks)
    assert by_reader(warm) == [False]
    assert total.result() == TOTAL
    warm.flush()
    assert sum(report.summary().total.loaded for report in warm.reports) == COUNT


def test_large_inputs_from_earlier_maps_are_read_once(make_client: Callable[..., DiracClient]) -> None:
    """One that takes long to read is read by a task of its own, and stays for the steps to come."""
    cold = make_client()
    cold.submit(np.ones, 2_000_000).result()
    cold.close()
    warm = make_client()
    large = warm.submit(np.ones, 2_000_000)
    futures = [warm.submit(merged, large), warm.submit(np.max, large)]
    assert sorted(by_reader(warm)) == [False, True]
    assert len(warm._registry.readers) == 1
    assert warm.gather(futures) == [2_000_000, 1]


def test_a_step_reads_from_earlier_maps_and_its_own_graph(warm: DiracClient) -> None:
    """Both kinds of inputs go into the same step, beside those that are computed."""
    held = warm.submit(block, 1)
    top = dask.delayed(merged)(held, BLOCKS[2], dask.delayed(small)(1))
    future = warm.compute(top)
    (function,) = (
        node.func
        for node in warm._registry.runs[future.key].sent.values()
        if isinstance(node, Task) and isinstance(node.func, RunOnLoaded)
    )
    assert (len(function.given), len(function.loads)) == (1, 2)
    assert future.result() == 60_010.0


def test_errors_inside_such_steps_are_the_users(warm: DiracClient) -> None:
    """The step's own exception arrives as ever, after the retries that were asked for."""
    with dask.annotate(retries=2), pytest.raises(ValueError, match="no 6 parts"):
        warm.compute(dask.delayed(failing)(*BLOCKS)).result()


# ---- entries that are lost ----


class Spoiling:
    """Spoils the entries of some steps as soon as they were found."""

    def __init__(self, client: DiracClient, how: str, only: tuple[int, ...]) -> None:
        self.find, self.how, self.only = client._submission.find, how, only
        self.store = client.cache
        self.done = False

    def __call__(self, keys: Any, **options: Any) -> Any:
        found = self.find(keys, **options)
        results = sorted((info for info in found.values() if info.kind == "result"), key=lambda info: info.digest)
        if results and not self.done:
            self.done = True
            for number in self.only:
                self._spoil(results[number])
        return found

    def _spoil(self, info: EntryInfo) -> None:
        assert self.store is not None
        if self.how == "deleted":
            self.store.delete([info.key])
            return
        (path,) = Path(self.store.url.removeprefix("file://")).glob(f"v1/blobs/*/{info.digest}*")
        content = bytearray(path.read_bytes())
        content[-5] ^= 0xFF
        path.write_bytes(content)


def by_compute(client: DiracClient) -> Any:
    return client.compute(dask.delayed(merged)(*BLOCKS)).result(timeout=300)


def by_persist(client: DiracClient) -> Any:
    return client.persist(dask.delayed(merged)(*BLOCKS)).compute()


def by_get(client: DiracClient) -> Any:
    tasks: dict[Any, Any] = {f"block-{number}": (block, number) for number in range(COUNT)}
    return client.get(tasks | {"top": (merged, *tasks)}, "top")


def with_retries(client: DiracClient) -> Any:
    with dask.annotate(retries=3):
        return by_compute(client)


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
@pytest.mark.parametrize("only", [(2,), tuple(range(COUNT))], ids=["one", "all"])
@pytest.mark.parametrize("how", ["deleted", "damaged"])
@pytest.mark.parametrize("way", [by_compute, by_persist, by_get, with_retries])
def test_lost_inputs_are_computed_again(
    warm: DiracClient,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[DiracClient], Any],
    how: str,
    only: tuple[int, ...],
) -> None:
    """Inputs that are gone or damaged when the step begins are computed after all, the others are still loaded."""
    monkeypatch.setattr(warm._submission, "find", Spoiling(warm, how, only))
    assert way(warm) == TOTAL
    warm.flush()
    report = warm.reports[0].summary().total
    assert report.ran == 1 + len(only)
    assert report.loaded == COUNT - len(only)


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
def test_pruned_steps_before_a_lost_input_run_again(
    make_client: Callable[..., DiracClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a lost input was computed from runs too, though the plan had left it out."""
    with dask.annotate(cache=False):
        first = [dask.delayed(small, pure=True)(number) for number in range(COUNT)]
    second = [dask.delayed(block, pure=True)(each) for each in first]
    cold = make_client()
    cold.gather(cold.compute(second))
    cold.close()
    warm = make_client()
    monkeypatch.setattr(warm._submission, "find", Spoiling(warm, "deleted", (0, 3)))
    assert warm.compute(dask.delayed(merged)(*second)).result(timeout=300) == 10 * TOTAL
    warm.flush()
    assert warm.report is not None
    assert warm.report.summary().total.ran == 1 + 2 + 2


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
def test_other_steps_go_on_beside_a_lost_input(warm: DiracClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two steps with inputs inside, one of them lost, both give their results."""
    monkeypatch.setattr(warm._submission, "find", Spoiling(warm, "damaged", (1,)))
    halves = [dask.delayed(merged)(*BLOCKS[:3]), dask.delayed(merged)(*BLOCKS[3:])]
    assert dask.compute(*halves, scheduler=warm) == (60_000.0, 240_000.0)
