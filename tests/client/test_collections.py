"""`compute`, `persist` and `get` of collections: the same results as a plain client gives, kept and found again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask
import numpy as np
import pytest
from dask.highlevelgraph import HighLevelGraph
from distributed import LocalCluster, futures_of

from cachingclient import Action, DiracClient
from tests.client.small_collections import array, double, increment, merged, tree
from tests.support.reported import counts


@pytest.mark.parametrize("ask", ["compute", "dask.compute", "method", "get", "persist"])
def test_every_way_to_compute(make_client: Callable[..., DiracClient], ask: str) -> None:
    """However a collection is computed, it is planned."""
    expected = 2 * sum(range(1, 9))

    def work(client: DiracClient) -> Any:
        collection = tree()
        if ask == "compute":
            return client.compute(collection).result()
        if ask == "dask.compute":
            return dask.compute(collection)[0]
        if ask == "method":
            return collection.compute()
        if ask == "get":
            return client.get(collection.__dask_graph__(), collection.key)
        return client.persist(collection).compute()

    cold = make_client()
    assert work(cold) == expected
    cold.flush()
    kept = sum(report.summary().total.kept for report in cold.reports)
    assert kept == 17
    cold.close()
    warm = make_client()
    assert work(warm) == expected
    warm.flush()
    assert sum(report.summary().total.ran for report in warm.reports) == 0


def test_low_level_graphs(client: DiracClient) -> None:
    """`client.get` takes a dict and a HighLevelGraph, with several and nested keys."""
    graph = {"a": (increment, 1), "b": (double, "a"), ("c", 0): (merged, "a", "b")}
    assert client.get(graph, ["a", ["b", ("c", 0)]]) == [2, [4, 6]]
    assert client.get(HighLevelGraph.from_collections("g", {"g": (increment, 1)}, []), "g") == 2


def test_only_the_frontier_is_loaded(make_client: Callable[..., DiracClient]) -> None:
    """What a loaded step was computed from is neither loaded nor run."""
    cold = make_client()
    cold.compute(tree()).result()
    cold.flush()
    client = make_client()
    assert client.compute(tree()).result() == 72
    report = client.report
    assert report is not None
    assert (report.summary().total.loaded, report.summary().total.not_needed) == (1, 16)


def test_compute_on_top_of_persisted(make_client: Callable[..., DiracClient]) -> None:
    """What is persisted is an input like any other: known by the step behind it."""

    def work(client: DiracClient) -> float:
        persisted = client.persist(array() + 1)
        assert len(futures_of(persisted)) == 8
        return float(client.compute((persisted * 2).sum()).result())

    cold = make_client()
    expected = work(cold)
    assert expected == ((np.arange(400.0) + 1) * 2).sum()
    cold.close()
    warm = make_client()
    assert work(warm) == expected
    assert counts(warm)[:2] == (0, 1)


def test_delayed_on_a_future(make_client: Callable[..., DiracClient]) -> None:
    """A future inside a delayed call is followed."""

    def work(client: DiracClient) -> int:
        future = client.submit(increment, 1)
        return client.compute(dask.delayed(double)(dask.delayed(merged)(future, 3))).result()

    cold = make_client()
    assert work(cold) == 10
    cold.close()
    warm = make_client()
    assert work(warm) == 10
    assert counts(warm)[:2] == (0, 1)


@pytest.mark.parametrize("options", [{"retries": 2}, {"priority": 3}, {"allow_other_workers": None}, {"resources": {}}])
def test_options_of_compute(make_client: Callable[..., DiracClient], options: dict[str, Any]) -> None:
    """Options of `compute` and `persist` change nothing of what is found."""
    cold = make_client()
    assert cold.compute(tree(), **options).result() == 72
    cold.close()
    warm = make_client()
    assert warm.persist(tree(), **options).compute() == 72
    warm.flush()
    assert sum(report.summary().total.ran for report in warm.reports) == 0


def test_optimisation_can_be_left_out(make_client: Callable[..., DiracClient]) -> None:
    """`optimize_graph=False` sends every operation as a step of its own, with equal results."""
    client = make_client()
    total = ((array() + 1) * 2).sum()
    fused = client.compute(total).result()
    assert client.compute(total, optimize_graph=False).result() == fused


def test_cache_false_annotation(client: DiracClient) -> None:
    """``dask.annotate(cache=False)`` excludes its region; the steps after it are kept all the same."""
    with dask.annotate(cache=False):
        first = dask.delayed(increment)(1)
    second = dask.delayed(double)(first)
    assert client.plan(second).steps[first.key].keep is False
    assert client.compute(second).result() == 4
    assert counts(client) == (2, 0, 1)


def test_annotations_reach_the_scheduler(store_url: str) -> None:
    """Priorities, retries, resources, workers and the user's own annotations survive the rewriting of the graph."""
    options: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    with (
        LocalCluster(**options, resources={"gpu": 1}) as cluster,
        DiracClient(cluster, cache=store_url, policy="all", set_as_default=False) as client,
    ):
        address = next(iter(cluster.scheduler.workers))
        with dask.annotate(priority=7, retries=4, workers=[address], allow_other_workers=True, note="mine"):
            first = dask.delayed(increment)(1)
        with dask.annotate(resources={"gpu": 1}):
            second = dask.delayed(double)(first)
        future = client.compute(second, optimize_graph=False)
        assert future.result(timeout=300) == 4
        tasks = [cluster.scheduler.tasks[key] for key in (first.key, second.key)]
        annotations = dict(tasks[0].annotations or {})
        assert (annotations["priority"], annotations["retries"], annotations["note"]) == (7, 4, "mine")
        assert annotations["workers"] == [address]
        assert (tasks[0].loose_restrictions, tasks[1].resource_restrictions) == (True, {"gpu": 1})


def test_annotated_layers_of_arrays(make_client: Callable[..., DiracClient]) -> None:
    """Layers with annotations of their own stay whole, and are kept."""

    def work() -> Any:
        with dask.annotate(priority=3, retries=1):
            region = array() + 1
        return region.sum()

    cold = make_client()
    expected = cold.compute(work()).result()
    cold.close()
    warm = make_client()
    assert warm.compute(work()).result() == expected
    assert counts(warm)[0] == 0


def test_equal_steps_run_once_each_in_one_graph(client: DiracClient) -> None:
    """Two calls that are alike are two tasks, as in dask, with one entry between them."""
    twins = [dask.delayed(increment)(5) for _ in range(3)]
    assert client.compute(dask.delayed(merged)(*twins)).result() == 18
    report = client.report
    assert report is not None
    assert report.summary().total.ran == 4


def test_plan_says_what_then_happens(make_client: Callable[..., DiracClient]) -> None:
    """`plan` and the run that follows agree: to run, to load, and not needed, cold and warm."""
    for _ in range(2):
        client = make_client()
        collection = tree()
        plan = client.plan(collection)
        client.compute(collection).result()
        assert client.report is not None
        ran = client.report.plan
        assert {key: step.action for key, step in plan.steps.items()} == {
            key: step.action for key, step in ran.steps.items()
        }
        by_action = [step.action for step in plan.steps.values()]
        total = client.report.summary().total
        assert (by_action.count(Action.RUN), by_action.count(Action.LOAD)) == (total.ran, total.loaded)
        client.close()


def test_plan_runs_nothing_and_refuses_what_is_no_collection(client: DiracClient) -> None:
    """`plan` sends nothing, and names what it was given instead of a collection."""
    client.plan(tree())
    assert len(client.reports) == 0
    with pytest.raises(TypeError, match="plan takes dask collections, got int"):
        client.plan(3)


@pytest.mark.slow
def test_ten_thousand_steps(make_client: Callable[..., DiracClient]) -> None:
    """A graph of 10,000 steps is planned, kept and found again whole."""

    def work() -> Any:
        leaves = [dask.delayed(increment)(leaf) for leaf in range(9_900)]
        groups = [dask.delayed(merged)(*leaves[start : start + 100]) for start in range(0, 9_900, 100)]
        return dask.delayed(merged)(*groups)

    expected = sum(range(1, 9_901))
    cold = make_client()
    assert cold.compute(work()).result() == expected
    assert counts(cold) == (10_000, 0, 10_000)
    cold.close()
    warm = make_client()
    assert warm.compute(work()).result() == expected
    assert counts(warm) == (0, 1, 0)
