"""Hits of single calls and of maps are read when somebody takes them, and futures behave as if they had been."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import Queue
from typing import Any

import dask
import numpy as np
import pytest
from distributed import Client, Event, Future, LocalCluster, Variable, as_completed, wait

from cachingclient import CacheWarning, DiracClient
from cachingclient.storage import EntryInfo, EntryLost
from cachingclient.worker.held import DeferredResult, type_known
from tests.support.waiting import until

COUNT = 6


def block(number: int) -> np.ndarray:
    return np.full(50_000, number)


def doubled(values: np.ndarray) -> np.ndarray:
    return values * 2


def summed(values: np.ndarray) -> float:
    return float(values.sum())


def merged(parts: Iterable[Any]) -> float:
    return float(sum(np.sum(part) for part in parts))


def chain(client: DiracClient) -> list[list[Any]]:
    """Three maps, each over the futures of the one before."""
    blocks = client.map(block, range(COUNT))
    twice = client.map(doubled, blocks)
    return [blocks, twice, client.map(summed, twice)]


EXPECTED = [100_000.0 * number for number in range(COUNT)]


@pytest.fixture
def warm(make_client: Callable[..., DiracClient]) -> DiracClient:
    """A client whose store has all of the chain."""
    cold = make_client()
    assert cold.gather(chain(cold)[-1]) == EXPECTED
    cold.close()
    return make_client()


def counts(client: DiracClient) -> tuple[int, int]:
    """How many steps the client's graphs loaded and ran."""
    client.flush()
    totals: dict[tuple[Any, str], str] = {}
    for report in client.reports:
        totals |= {(record.key, record.name): record.action for record in report.records}
    actions = list(totals.values())
    return actions.count("loaded"), actions.count("ran")


def test_a_chain_that_hits_loads_what_is_gathered(warm: DiracClient) -> None:
    """Of three maps only the last one's results are read, and only those that are asked for."""
    *_, last = chain(warm)
    assert last[3].result() == EXPECTED[3]
    assert counts(warm) == (1, 0)
    assert warm.gather(last) == EXPECTED
    assert counts(warm) == (COUNT, 0)


def test_what_a_miss_needs_is_loaded(warm: DiracClient) -> None:
    """Two new steps over the same hits read these on a worker, each its own, and they count once."""
    blocks, twice, _ = chain(warm)
    low = warm.gather(warm.map(np.min, twice))
    high = warm.gather(warm.map(np.max, twice))
    assert low == high == [2 * number for number in range(COUNT)]
    assert counts(warm) == (COUNT, 2 * COUNT)
    assert {future.status for future in blocks} == {"finished"}


@pytest.mark.parametrize("nested", ["list", "dictionary", "keyword"])
def test_held_results_inside_containers(warm: DiracClient, nested: str) -> None:
    """A step gets the results themselves, however its arguments hold the futures."""
    blocks, *_ = chain(warm)
    given: dict[str, Callable[[], Any]] = {
        "list": lambda: warm.submit(merged, blocks),
        "dictionary": lambda: warm.submit(lambda parts: merged(parts.values()), dict(enumerate(blocks))),
        "keyword": lambda: warm.submit(merged, parts=blocks),
    }
    assert given[nested]().result() == 50_000.0 * sum(range(COUNT))


class Total:
    """An actor."""

    def __init__(self, parts: Iterable[Any]) -> None:
        self.total = merged(parts)

    def value(self) -> float:
        """Return the sum."""
        return self.total


def test_actors_get_results(warm: DiracClient) -> None:
    """So does what is not planned at all."""
    blocks, *_ = chain(warm)
    assert warm.submit(Total, blocks, actor=True).result().value().result() == 50_000.0 * sum(range(COUNT))


def test_futures_behave_as_if_loaded(warm: DiracClient) -> None:
    """Waiting, callbacks, as_completed and the status go by the hit; nothing is read for them."""
    *_, last = chain(warm)
    seen: Queue[str] = Queue()
    for future in last:
        future.add_done_callback(lambda done: seen.put(done.status))
    assert not wait(last, timeout=300).not_done
    assert {future.key for future in as_completed(last, timeout=300)} == {future.key for future in last}
    assert [seen.get(timeout=300) for _ in last] == ["finished"] * COUNT
    assert [future.status for future in last] == ["finished"] * COUNT
    assert counts(warm) == (0, 0)
    assert sorted(value for _, value in as_completed(last, with_results=True)) == EXPECTED


def test_types_are_known_unread(warm: DiracClient) -> None:
    """A future says what its result is, as dask's own does, and nothing is read for it."""
    blocks, _, last = chain(warm)
    wait([*blocks, *last], timeout=300)
    assert {future.type for future in blocks} == {np.ndarray}
    assert {future.type for future in last} == {float}
    assert "type: numpy.ndarray" in repr(blocks[0])
    assert counts(warm) == (0, 0)


@pytest.mark.parametrize("name", ["", "float", "nowhere.Thing", "numpy.nothing", "numpy.pi", "numpy.ndarray.shape"])
def test_types_that_are_not_known(name: str) -> None:
    """Of a name that leads to no type here nothing is said."""
    info = EntryInfo("0f" * 16, "result", "f", "numpy", "", 8, 0.0, 1.0, {"type": name})
    assert type_known(info) is None


async def test_asynchronous_clients(make_async_client: Callable[..., Any]) -> None:
    """An asynchronous client reads them off its event loop."""
    client = await make_async_client()
    assert await client.gather(chain(client)[-1]) == EXPECTED
    await client.flush()
    again = await make_async_client()
    assert await again.gather(chain(again)[-1]) == EXPECTED
    assert again.reports[-1].summary().total.loaded == COUNT


def test_cancelling_and_releasing(warm: DiracClient) -> None:
    """A hit that nobody read can be cancelled, let go and asked for again."""
    blocks, twice, last = chain(warm)
    warm.cancel(last[0])
    assert last[0].cancelled()
    again = warm.map(summed, twice)
    assert warm.gather(again[1:]) == EXPECTED[1:]
    del blocks, twice, last, again
    assert warm.gather(chain(warm)[-1]) == EXPECTED


@pytest.mark.parametrize("how", ["a dataset", "a variable"])
def test_another_client_gathers_the_result(warm: DiracClient, plain_client: Client, how: str) -> None:
    """A client that knows of no store gets what the key stands for."""
    blocks, *_ = chain(warm)
    if how == "a dataset":
        warm.publish_dataset(shared=blocks[2])
        found = plain_client.get_dataset("shared")
        assert plain_client.submit(summed, found).result(timeout=300) == 100_000
        warm.unpublish_dataset("shared")
    else:
        variable = Variable("shared", client=warm)
        variable.set(blocks[2])
        found = Variable("shared", client=plain_client).get(timeout=300)
        variable.delete()
    result = found.result(timeout=300)
    assert type(result) is np.ndarray
    assert (result == 2).all()


def test_another_caching_client_computes_with_it(warm: DiracClient, make_client: Callable[..., DiracClient]) -> None:
    """A step over a key that another client holds unread gets the result."""
    blocks, *_ = chain(warm)
    variable = Variable("of another", client=warm)
    variable.set(blocks[3])
    other = make_client()
    found = Variable("of another", client=other).get(timeout=300)
    variable.delete()
    assert other.submit(merged, [found]).result(timeout=300) == 150_000
    assert (found.result(timeout=300) == 3).all()


def lose(folder: Path) -> None:
    """Take every entry out of a store."""
    for shard in [*(folder / "v1").glob("steps/*"), *(folder / "v1").glob("blobs/*")]:
        shutil.rmtree(shard)


@pytest.mark.parametrize("where", ["the worker that holds it", "another worker"])
def test_a_plain_client_s_step_never_takes_where_a_lost_result_was(
    warm: DiracClient, plain_client: Client, cache_folder: Path, where: str
) -> None:
    """It fails and says why: a function that takes anything, such as `str`, would give a wrong result."""
    first, *_ = warm.map(block, range(COUNT))
    wait(first, timeout=300)
    [holder] = warm.who_has([first])[first.key]
    others = set(warm.scheduler_info()["workers"]) - {holder}
    lose(cache_folder)
    found = Future(first.key, plain_client)
    worker = holder if where == "the worker that holds it" else others.pop()
    with pytest.raises(EntryLost):
        plain_client.submit(str, found, pure=False, workers=[worker]).result(timeout=300)


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
@pytest.mark.parametrize("direct", [False, True])
def test_another_client_gathers_a_lost_result(
    warm: DiracClient, plain_client: Client, cache_folder: Path, direct: bool
) -> None:
    """The client that holds it has it computed again, for itself too, and what takes it goes on."""
    blocks, twice, _ = chain(warm)
    wait([*blocks, *twice], timeout=300)
    lose(cache_folder)
    warm.publish_dataset(twice=twice)
    found = plain_client.get_dataset("twice")
    warm.unpublish_dataset("twice")
    for number, result in enumerate(plain_client.gather(found, direct=direct)):
        assert type(result) is np.ndarray
        assert (result == 2 * number).all()
    assert plain_client.submit(summed, found[1], pure=False).result(timeout=300) == EXPECTED[1]
    assert warm.submit(merged, twice).result(timeout=300) == sum(EXPECTED)
    assert [int(result[0]) for result in warm.gather(twice)] == [2 * number for number in range(COUNT)]


def test_another_client_gathers_a_lost_result_that_nobody_can_compute_again(
    warm: DiracClient, plain_client: Client, cache_folder: Path
) -> None:
    """It is an error that says so: the client that could is gone."""
    first, *_ = warm.map(block, range(COUNT))
    wait(first, timeout=300)
    warm.publish_dataset(first=first)
    found = plain_client.get_dataset("first")
    warm.close()
    plain_client.unpublish_dataset("first")
    lose(cache_folder)
    with pytest.raises(EntryLost):
        found.result(timeout=300)


def test_another_client_gathers_results_of_workers_in_its_process(store_url: str) -> None:
    """Nothing is unpickled on the way from these, and still it gets results."""
    for _ in range(2):
        with DiracClient(processes=False, dashboard_address=":0", cache=store_url, policy="all") as client:
            blocks = client.map(block, range(COUNT))
            wait(blocks, timeout=300)
            with Client(client.cluster, set_as_default=False) as plain:
                found = [Future(future.key, plain) for future in blocks]
                keys = [future.key for future in blocks]
                plain._send_to_scheduler({"op": "client-desires-keys", "keys": keys, "client": plain.id})
                results = plain.gather(found)
    assert [int(result[0]) for result in results] == list(range(COUNT))


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
@pytest.mark.parametrize("taken", ["gathered", "by a step", "by both"])
def test_entries_lost_before_they_are_read(warm: DiracClient, cache_folder: Path, taken: str) -> None:
    """What is held and can't be read any more is computed again, under the same future."""
    blocks, twice, last = chain(warm)
    wait([*blocks, *twice, *last], timeout=300)
    lose(cache_folder)
    if taken != "gathered":
        assert warm.submit(merged, twice).result(timeout=300) == sum(EXPECTED)
    if taken != "by a step":
        assert warm.gather(last) == EXPECTED
        assert [int(value[0]) for value in warm.gather(blocks)] == list(range(COUNT))
    assert {future.status for future in [*blocks, *twice, *last]} == {"finished"}
    assert counts(warm)[1] >= COUNT


def partly_kept(client: DiracClient) -> list[list[Any]]:
    """The chain, the middle of which is never kept, as what is quick to run is not."""
    blocks = client.map(block, range(COUNT))
    with dask.annotate(cache=False):
        twice = client.map(doubled, blocks)
    return [blocks, twice, client.map(summed, twice)]


def test_what_only_hits_come_after_is_let_go(warm: DiracClient) -> None:
    """A step before hits whose future the user lets go does not run, and the report says so."""
    gate = Event("gate", client=warm)
    busy = [warm.submit(gate.wait, pure=False) for _ in warm.scheduler_info()["workers"]]
    until(lambda: sum(map(len, warm.processing().values())) == len(busy))
    *earlier, last = partly_kept(warm)
    keys = {future.key for futures in earlier for future in futures}
    del earlier
    until(lambda: not keys & warm.futures.keys())
    gate.set()
    assert warm.gather(last) == EXPECTED
    warm.flush()
    counted = {row.name: (row.ran, row.not_needed) for report in warm.reports for row in report.summary().rows}
    assert counted["doubled"] == (0, COUNT)


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
@pytest.mark.parametrize("way", [chain, partly_kept])
def test_entries_lost_after_all_before_them_was_let_go(
    warm: DiracClient, cache_folder: Path, way: Callable[[DiracClient], list[list[Any]]]
) -> None:
    """What is found and can't be read is computed again from the first step on, whose future is long gone."""
    *earlier, last = way(warm)
    keys = {future.key for futures in earlier for future in futures}
    del earlier
    until(lambda: not keys & warm.futures.keys())
    lose(cache_folder)
    assert warm.submit(merged, last).result(timeout=300) == sum(EXPECTED)
    assert warm.gather(last) == EXPECTED


def test_what_the_scheduler_holds_is_known(warm: DiracClient) -> None:
    """Steps whose futures are let go are still known where something else there is computed from them."""
    with dask.annotate(cache=False):
        first = warm.submit(block, 100)
        second = warm.submit(doubled, first)
        last = warm.submit(summed, second)
    keys = {first.key, second.key, last.key}
    assert last.result(timeout=300) == 10_000_000
    del first, second
    until(lambda: len(warm.futures) == 1)
    assert warm._registry.taken.keys() == keys
    del last
    until(lambda: not warm.futures)
    assert not warm._registry.taken


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
def test_scattered_data_before_a_hit_stays(warm: DiracClient, cache_folder: Path) -> None:
    """No graph makes it again, so its future is kept in case the hit is lost."""
    values = np.full(50_000, 3)
    assert warm.submit(summed, warm.submit(doubled, warm.scatter(values))).result() == EXPECTED[3]
    warm.flush()
    last = warm.submit(summed, warm.submit(doubled, warm.scatter(values)))
    lose(cache_folder)
    assert last.result(timeout=300) == EXPECTED[3]


def test_the_user_hears_of_lost_entries_once(warm: DiracClient, cache_folder: Path) -> None:
    """Many at once are one warning."""
    blocks = warm.map(block, range(COUNT))
    wait(blocks, timeout=300)
    lose(cache_folder)
    with pytest.warns(CacheWarning, match="computed again") as seen:
        warm.gather(blocks)
    assert len([warning for warning in seen if "computed again" in str(warning.message)]) == 1


def test_a_lost_worker_takes_no_result_with_it(store_url: str) -> None:
    """Where a result is kept is told again by another worker."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        DiracClient(cluster, cache=store_url, policy="all") as client,
    ):
        assert client.gather(chain(client)[-1]) == EXPECTED
        client.flush()
        with DiracClient(cluster, cache=store_url, policy="all") as warm:
            *_, last = chain(warm)
            wait(last, timeout=300)
            gone = next(iter(cluster.workers.values()))
            gone.close_gracefully()
            assert warm.gather(last) == EXPECTED


def test_workers_in_the_client_s_process(store_url: str) -> None:
    """Results cross no boundary there, and are results all the same."""
    for _ in range(2):
        with DiracClient(processes=False, dashboard_address=":0", cache=store_url, policy="all") as client:
            blocks, _, last = chain(client)
            assert client.gather(last) == EXPECTED
            assert client.submit(merged, blocks).result(timeout=300) == 50_000.0 * sum(range(COUNT))
            assert not any(type(value) is DeferredResult for value in client.gather(blocks))
