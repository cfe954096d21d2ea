"""Hits that nobody has read yet and whose entries are lost: computed again, or an error that says why they can't be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from distributed import Client, Event, Future, LocalCluster, wait

from cachingclient import CacheWarning, DiracClient
from cachingclient.storage import EntryLost
from tests.support.waiting import until
from tests.worker.chains import COUNT, EXPECTED, block, chain, counts, doubled, lose, merged, summed


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
