"""Entries that are lost after they were planned to be loaded: results are right, under the same futures."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from queue import Queue
from typing import Any

import dask
import numpy as np
import pytest
from distributed import Client, as_completed, futures_of

from cachingclient import CacheWarning, DiracClient
from cachingclient.client import recovery
from cachingclient.storage import EntryInfo, StoreUnavailable


def block(number: int) -> np.ndarray:
    return np.full(50_000, number)


def summed(values: np.ndarray) -> float:
    return float(values.sum())


def plus_one(x: float) -> float:
    return x + 1


def merged(*parts: Any) -> float:
    return float(sum(np.sum(part) for part in parts))


def by_submit(client: DiracClient) -> list[Any]:
    first = client.submit(block, 1)
    return [first, client.submit(summed, first)]


def by_map(client: DiracClient) -> list[Any]:
    blocks = client.map(block, range(6))
    return [*blocks, *client.map(summed, blocks)]


def by_compute(client: DiracClient) -> list[Any]:
    blocks = [dask.delayed(block, pure=True)(number) for number in range(4)]
    return client.compute([*blocks, *[dask.delayed(summed)(one) for one in blocks], dask.delayed(merged)(*blocks)])


def by_persist(client: DiracClient) -> list[Any]:
    blocks = client.persist([dask.delayed(block)(number) for number in range(4)])
    return [*futures_of(blocks), client.compute(dask.delayed(merged)(*blocks))]


def by_two_graphs(client: DiracClient) -> list[Any]:
    shared = dask.delayed(block, pure=True)(3)
    with dask.annotate(cache=False):
        tops = [dask.delayed(summed, pure=True)(shared), dask.delayed(merged, pure=True)(shared)]
    return [client.compute(top) for top in tops]


def by_chain_of_one_future(client: DiracClient) -> list[Any]:
    first = client.submit(block, 5)
    with dask.annotate(cache=False):
        return [client.submit(plus_one, client.submit(summed, first))]


WAYS = [by_submit, by_map, by_compute, by_persist, by_two_graphs, by_chain_of_one_future]


class Losing:
    """Takes entries out of a store as soon as they were found: what is planned to be loaded is then gone."""

    def __init__(self, client: DiracClient, folder: Path, what: str) -> None:
        self.find = client._submission.find
        self.folder = folder
        self.what = what
        self.times = 0

    def __call__(self, keys: Iterable[str], **options: Any) -> Mapping[str, EntryInfo]:
        found = self.find(keys, **options)
        if any(info.kind == "result" for info in found.values()):
            self.times += 1
            for name in ("blobs", "steps") if self.what == "everything" else ("blobs",):
                for shard in (self.folder / "v1" / name).glob("*"):
                    shutil.rmtree(shard)
        return found


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
@pytest.mark.parametrize("what", ["everything", "blobs"])
@pytest.mark.parametrize("way", WAYS)
def test_lost_entries_are_computed_again(
    make_client: Callable[..., DiracClient],
    cache_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[DiracClient], list[Any]],
    what: str,
) -> None:
    """Whatever was asked for, futures give right results when the entries behind them are gone at load time."""
    cold = make_client()
    expected = [np.sum(result) for result in cold.gather(way(cold))]
    cold.close()
    warm = make_client()
    losing = Losing(warm, cache_folder, what)
    monkeypatch.setattr(warm._submission, "find", losing)
    futures = way(warm)
    results = [future.result(timeout=300) for future in futures]
    assert [np.sum(result) for result in results] == expected
    assert losing.times > 0
    assert {future.status for future in futures} == {"finished"}


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
@pytest.mark.parametrize("ask", ["gather", "as_completed", "callback"])
def test_every_way_to_wait_sees_the_recovered_result(
    make_client: Callable[..., DiracClient], cache_folder: Path, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    """A future whose entry is lost stays pending until its result is there, however one waits for it."""
    cold = make_client()
    cold.gather(cold.map(block, range(3)))
    cold.close()
    warm = make_client()
    monkeypatch.setattr(warm._submission, "find", Losing(warm, cache_folder, "blobs"))
    futures = warm.map(block, range(3))
    if ask == "gather":
        values = warm.gather(futures)
    elif ask == "as_completed":
        values = [future.result() for future in as_completed(futures, timeout=300)]
    else:
        seen: Queue[str] = Queue()
        for future in futures:
            future.add_done_callback(lambda done: seen.put(done.status))
        values = [future.result() for future in futures]
        assert [seen.get(timeout=300) for _ in futures] == ["finished"] * 3
    assert sorted(int(value[0]) for value in values) == [0, 1, 2]


def test_warns_once_for_many_lost_entries(
    make_client: Callable[..., DiracClient], cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many entries that are lost at once are one warning."""
    cold = make_client()
    cold.gather(cold.map(block, range(8)))
    cold.close()
    warm = make_client()
    monkeypatch.setattr(warm._submission, "find", Losing(warm, cache_folder, "blobs"))
    with pytest.warns(CacheWarning) as seen:
        warm.gather(warm.map(block, range(8)))
    assert len([warning for warning in seen if "lost" in str(warning.message)]) == 1


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
def test_recovered_steps_are_kept_again(
    make_client: Callable[..., DiracClient], cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was computed again is in the store afterwards."""
    cold = make_client()
    cold.gather(cold.map(block, range(3)))
    cold.close()
    warm = make_client()
    with monkeypatch.context() as patched:
        patched.setattr(warm._submission, "find", Losing(warm, cache_folder, "everything"))
        warm.gather(warm.map(block, range(3)))
    warm.flush()
    warm.close()
    after = make_client()
    assert len(after.gather(after.map(block, range(3)))) == 3
    assert after.report is not None
    assert after.report.summary().total.loaded == 3


def test_folder_deleted_between_runs(make_client: Callable[..., DiracClient], cache_folder: Path) -> None:
    """A cache folder that was deleted between two graphs of one client is made anew."""
    client = make_client()
    assert client.submit(summed, np.ones(10)).result() == 10
    client.flush()
    shutil.rmtree(cache_folder)
    assert client.submit(summed, np.ones(10), key="again").result() == 10
    assert client.report is not None
    assert client.report.summary().total.ran == 1
    assert client.report.summary().total.kept == 1
    assert (cache_folder / "v1").is_dir()


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
def test_folder_deleted_during_a_run(make_client: Callable[..., DiracClient], cache_folder: Path) -> None:
    """A cache folder that is deleted while a graph runs costs what was kept, not the results."""
    client = make_client()
    futures = client.map(block, range(40))
    for number, _ in enumerate(as_completed(futures)):
        if number == 10:
            shutil.rmtree(cache_folder, ignore_errors=True)
    assert [int(value[0]) for value in client.gather(futures)] == list(range(40))
    again = make_client()
    assert [int(value[0]) for value in again.gather(again.map(block, range(40)))] == list(range(40))


def test_store_that_does_not_answer_while_planning(
    make_client: Callable[..., DiracClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that is out of reach when a graph is planned has no entries: everything runs, with a warning."""
    client = make_client()

    def unreachable(keys: Iterable[str]) -> Mapping[str, EntryInfo]:
        raise StoreUnavailable("no route to host")

    monkeypatch.setattr(client.cache, "find", unreachable)
    with pytest.warns(CacheWarning, match="no route to host"):
        assert client.submit(plus_one, 1).result() == 2


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
def test_corrupted_entries_are_computed_again(make_client: Callable[..., DiracClient], cache_folder: Path) -> None:
    """A flipped byte in a kept result is found out, and the step is run again."""
    cold = make_client()
    cold.gather(cold.map(block, range(4)))
    cold.close()
    damaged = [path for path in (cache_folder / "v1" / "blobs").rglob("*") if path.is_file()]
    assert len(damaged) == 4
    for path in damaged:
        content = bytearray(path.read_bytes())
        content[-5] ^= 0xFF
        path.write_bytes(content)
    warm = make_client()
    assert [int(value.min()) for value in warm.gather(warm.map(block, range(4)))] == list(range(4))
    warm.flush()
    assert warm.report is not None
    assert warm.report.summary().total.ran == 4


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
def test_a_long_chain_of_lost_entries(make_client: Callable[..., DiracClient], cache_folder: Path) -> None:
    """Each is found, and none can be read: after a few attempts nothing is loaded any more, and the result is right."""

    def chain() -> Any:
        value = dask.delayed(block)(0)
        for _ in range(25):
            value = dask.delayed(plus_one)(value)
        return value

    cold = make_client()
    cold.compute(chain()).result()
    cold.close()
    for path in cache_folder.glob("v1/blobs/*/*"):
        content = bytearray(path.read_bytes())
        content[-5] ^= 0xFF
        path.write_bytes(content)
    assert make_client().compute(chain()).result()[0] == 25


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
def test_many_lost_entries_that_are_told_one_by_one(
    make_client: Callable[..., DiracClient], cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them has been tried before, however often others were: no user gets the error of the store."""
    monkeypatch.setattr(recovery, "MOST_ATTEMPTS", 2)
    monkeypatch.setattr(recovery, "MOST_LOADING_ATTEMPTS", 1)
    cold = make_client()
    cold.gather(cold.map(block, range(60)))
    cold.close()
    for path in cache_folder.glob("v1/blobs/*/*"):
        content = bytearray(path.read_bytes())
        content[-5] ^= 0xFF
        path.write_bytes(content)
    warm = make_client()
    assert [int(value.min()) for value in warm.gather(warm.map(block, range(60)))] == list(range(60))


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
def test_nothing_is_left_behind(
    make_client: Callable[..., DiracClient], cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a recovery and the release of its futures, client and scheduler remember no key of it."""
    cold = make_client()
    cold.gather(by_map(cold))
    cold.close()
    warm = make_client()
    monkeypatch.setattr(warm._submission, "find", Losing(warm, cache_folder, "everything"))
    futures = by_map(warm)
    warm.gather(futures)
    keys = {future.key for future in futures}
    del futures
    warm.sync(_until_released, warm, keys)
    registry = warm._registry
    assert (len(registry.steps), len(registry.runs), len(registry.taken)) == (0, 0, 0)


async def _until_released(client: Client, keys: set[Any]) -> None:
    def remembered(dask_scheduler: Any) -> int:
        return len(keys & dask_scheduler.tasks.keys())

    while keys & client.futures.keys() or await client._run_on_scheduler(remembered):
        await asyncio.sleep(0.005)


def test_user_errors_are_not_taken_for_lost_entries(client: DiracClient) -> None:
    """A step's own exception goes straight to the user."""
    with pytest.raises(AttributeError):
        client.submit(summed, 3).result()
