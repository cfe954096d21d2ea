"""Hits of single calls and of maps are read when somebody takes them, and futures behave as if they had been."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from queue import Queue
from typing import Any

import numpy as np
import pytest
from distributed import Client, Future, Variable, as_completed, wait

from cachingclient import DiracClient
from cachingclient.storage import EntryInfo
from cachingclient.worker.held import DeferredResult, type_known
from tests.worker.chains import COUNT, EXPECTED, block, chain, counts, merged, summed


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


def test_workers_in_the_client_s_process(store_url: str) -> None:
    """Results cross no boundary there, and are results all the same."""
    for _ in range(2):
        with DiracClient(processes=False, dashboard_address=":0", cache=store_url, policy="all") as client:
            blocks, _, last = chain(client)
            assert client.gather(last) == EXPECTED
            assert client.submit(merged, blocks).result(timeout=300) == 50_000.0 * sum(range(COUNT))
            assert not any(type(value) is DeferredResult for value in client.gather(blocks))
