"""What `client.report` says against what really happened, and what the client remembers afterwards."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster, wait

from cachingclient import Action, CachePolicy, Cost, DiracClient
from tests.support.waiting import until


def increment(x: Any) -> Any:
    return x + 1


def block(number: int) -> np.ndarray:
    return np.full(20_000, number)


def summed(values: np.ndarray) -> int:
    return int(values.sum())


def merged(*parts: int) -> int:
    return sum(parts)


def failing(x: int) -> int:
    raise ValueError(f"no {x}")


def busy(x: int) -> int:
    return sum(number % 7 for number in range(4_000_000 + x))


class OnlyLarge(CachePolicy):
    """Keeps results of 100 kB or more."""

    def keep(self, cost: Cost) -> bool:
        return cost.nbytes >= 100_000


class Recording(CachePolicy):
    """Keeps what took longer than its inputs say."""

    def keep(self, cost: Cost) -> bool:
        assert cost.seconds >= 0
        assert cost.load_seconds > 0
        return cost.inputs == 2


def two(first: int, second: int) -> int:
    return first + second


def graph() -> Any:
    return dask.delayed(merged)(*[dask.delayed(summed)(dask.delayed(block)(number)) for number in range(5)])


def by_name(client: DiracClient) -> dict[str, tuple[int, int, int]]:
    """For each step name of the last graph how many ran, were loaded and were kept."""
    assert client.report is not None
    return {row.name: (row.ran, row.loaded, row.kept) for row in client.report.summary().rows}


def entries(client: DiracClient) -> dict[str, int]:
    """How many results of each step the store has."""
    assert client.cache is not None
    names = [info.name for info in client.cache.scan() if info.kind == "result"]
    return {name: names.count(name) for name in names}


def test_cold_run(client: DiracClient) -> None:
    """Everything that ran and was kept is counted, and is what the store has."""
    assert client.compute(graph()).result() == 200_000
    assert by_name(client) == {"block": (5, 0, 5), "summed": (5, 0, 5), "merged": (1, 0, 1)}
    assert entries(client) == {"block": 5, "summed": 5, "merged": 1}
    assert client.report is not None
    total = client.report.summary().total
    assert total.bytes_kept >= 5 * 160_000
    assert total.seconds_spent > 0
    assert client.report.planning_seconds > 0


def test_warm_run(make_client: Callable[..., DiracClient]) -> None:
    """What was loaded and what was not needed is counted, with the time that it saved."""
    cold = make_client()
    cold.compute(graph()).result()
    cold.close()
    warm = make_client()
    assert warm.compute(graph()).result() == 200_000
    assert warm.report is not None
    total = warm.report.summary().total
    assert (total.ran, total.loaded, total.not_needed) == (0, 1, 10)
    assert total.seconds_saved > 0
    assert [step.action for step in warm.report.plan.steps.values()].count(Action.PRUNED) == 10


def test_partly_warm_run(make_client: Callable[..., DiracClient]) -> None:
    """A graph of which a part is known loads that part and runs the rest."""
    cold = make_client()
    cold.compute(dask.delayed(summed)(dask.delayed(block)(1))).result()
    cold.close()
    warm = make_client()
    warm.compute(graph()).result()
    assert by_name(warm) == {"block": (4, 0, 4), "summed": (4, 1, 4), "merged": (1, 0, 1)}


@pytest.mark.parametrize("repeat", range(5))
def test_records_are_complete_at_once(make_client: Callable[..., DiracClient], repeat: int) -> None:
    """Right after the result is there the report has every record, on whichever way it travels."""
    client = make_client()
    futures = client.map(increment, range(60))
    client.gather(futures)
    assert by_name(client) == {"increment": (60, 0, 60)}


def test_failed_steps(client: DiracClient) -> None:
    """A step that raised is not kept, and does not keep the report from being drawn."""
    with pytest.raises(ValueError, match="no 2"):
        client.compute(dask.delayed(failing)(dask.delayed(increment)(1))).result()
    assert by_name(client)["increment"] == (1, 0, 1)
    assert by_name(client)["failing"][2] == 0
    assert "<table" in client.report._repr_html_()  # type: ignore[union-attr]


def test_reports_of_several_graphs(client: DiracClient) -> None:
    """Each graph has its own report, the last one first at hand."""
    assert client.report is None
    futures = [client.submit(increment, number) for number in range(3)]
    client.gather(futures)
    assert client.report is client.reports[-1]
    assert len(client.reports) == 3
    assert all(report.summary().total.ran == 1 for report in client.reports)


def test_held_steps(client: DiracClient) -> None:
    """Steps that the cluster has in memory are neither run nor loaded."""
    first = dask.delayed(increment, pure=True)(1)
    held = client.compute(first)
    assert held.result() == 2
    assert client.compute(dask.delayed(increment)(first)).result() == 3
    assert client.report is not None
    total = client.report.summary().total
    assert (total.ran, total.held) == (1, 1)


def test_auto_keeps_what_took_long(make_client: Callable[..., DiracClient]) -> None:
    """Under `auto` a quick step is run again and a slow one is loaded."""
    client = make_client(policy="auto")
    client.gather([client.submit(increment, 1), client.submit(busy, 1)])
    client.flush()
    assert entries(client) == {"busy": 1}


def test_a_policy_of_ones_own(make_client: Callable[..., DiracClient]) -> None:
    """A policy decides on the workers by what a result cost."""
    client = make_client(policy=OnlyLarge())
    client.compute(graph()).result()
    client.flush()
    assert entries(client) == {"block": 5}
    client.close()
    other = make_client(policy=Recording())
    one = dask.delayed(increment)(1)
    assert other.compute(dask.delayed(two)(one, dask.delayed(increment)(2))).result() == 5
    assert by_name(other)["two"] == (1, 0, 1)
    assert by_name(other)["increment"] == (2, 0, 0)


def test_nothing_is_remembered_of_released_futures(client: DiracClient) -> None:
    """After 1,200 submits whose futures are gone, the registry is empty."""
    for first in range(0, 1_200, 400):  # more at once keep the scheduler, which is in this process, from its work
        futures = [client.submit(increment, number) for number in range(first, first + 400)]
        assert sum(client.gather(futures)) == sum(range(first + 1, first + 401))
        del futures
        _until_empty(client)
    registry = client._registry
    assert (len(registry.steps), len(registry.runs), len(registry.taken)) == (0, 0, 0)
    assert len(client.reports) <= 1_000


def test_nothing_is_remembered_of_released_graphs(client: DiracClient) -> None:
    """Graphs that were cancelled, failed, ran twice or were persisted leave the registry empty too."""
    persisted = client.persist(graph())
    futures = [client.compute(graph()), client.compute(graph()), client.submit(failing, 1), client.scatter(5)]
    cancelled = client.submit(busy, 3)
    client.cancel(cancelled)
    # Raising it here would keep the futures alive by the frames of its traceback, as it does in distributed.
    assert wait(futures).done == set(futures)
    assert client.compute(dask.delayed(increment)(persisted)).result() == 200_001
    del persisted, futures, cancelled
    _until_empty(client)
    registry = client._registry
    assert (len(registry.steps), len(registry.runs), len(registry.taken)) == (0, 0, 0)


def _until_empty(client: Client) -> None:
    """Wait until all futures are gone; collecting garbage holds up the scheduler, which is in this process."""

    def empty() -> bool:
        if client.futures:
            gc.collect()
        return not client.futures

    until(empty)


def test_reports_hold_no_results(make_client: Callable[..., DiracClient]) -> None:
    """Reports stay when futures go, so they must not hold on to the results that were loaded."""
    cold = make_client()
    cold.gather(cold.map(increment, range(20)))
    cold.close()
    warm = make_client()
    warm.gather(warm.map(increment, range(20)))
    assert warm.report is not None
    infos = [step.info for step in warm.report.plan.steps.values()]
    assert len(infos) == 20
    assert all(info is not None and info.payload is None for info in infos)


def test_a_quiet_run_warns_of_nothing(client: DiracClient) -> None:
    """An analysis that can be cached whole gives no warning at all."""
    with warnings.catch_warnings(record=True, action="always") as seen:
        client.compute(graph()).result()
        client.flush()
    assert [str(warning.message) for warning in seen] == []


def test_step_key_of(make_client: Callable[..., DiracClient]) -> None:
    """The step key behind a future is the same in every session; an impure call has none."""
    keys = set()
    for name in ("one", "two"):
        client = make_client()
        future, impure = client.submit(increment, 1, key=name), client.submit(increment, 1, pure=False)
        keys.add(client.step_key_of(future.key))
        assert client.step_key_of(impure.key) is None
        client.close()
    (key,) = keys
    assert key is not None
    assert len(key) == 32


def test_a_closed_client_says_so(make_client: Callable[..., DiracClient]) -> None:
    """Its reports are still there; what needs the cluster or the store says that the client is closed."""
    client = make_client()
    client.submit(increment, 1).result()
    client.close()
    assert client.report is not None
    for asked in (client.flush, lambda: client.plan(dask.delayed(increment)(1)), lambda: client.explain("increment")):
        with pytest.raises(RuntimeError, match="this client is closed; its reports are still there"):
            asked()


def test_a_notebook_shows_where_results_are_kept(cluster: LocalCluster, store_url: str) -> None:
    """Beside what dask tells of the client; a client without a cache shows what dask tells."""
    with DiracClient(cluster, cache=store_url) as client:
        assert f"results are kept in <code>{store_url}</code></div>" in client._repr_html_()
        client.gather(client.map(abs, [-1, -2]))
        shown = client._repr_html_()
        assert "last graph: 2 of 2 steps ran" in shown
        assert "Scheduler Info" in shown or "Connection method" in shown
        assert ElementTree.fromstring(shown).tag == "div"  # one element, as dask's is
    with DiracClient(cluster, cache=False) as client:
        assert "results are kept" not in client._repr_html_()
