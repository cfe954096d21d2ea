"""`compute`, `persist` and `get` of collections: the same results as a plain client gives, kept and found again."""

from __future__ import annotations

from collections.abc import Callable
from operator import add
from typing import Any

import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from dask.highlevelgraph import HighLevelGraph
from distributed import Client, LocalCluster, futures_of

from cachingclient import Action, DiracClient
from tests.support.reported import counts


def increment(x: Any) -> Any:
    return x + 1


def double(x: Any) -> Any:
    return x * 2


def merged(*parts: Any) -> Any:
    return sum(parts)


def is_even(x: int) -> bool:
    return x % 2 == 0


def widened(part: pd.DataFrame) -> pd.DataFrame:
    return part.assign(c=part.a * part.b)


def frame() -> pd.DataFrame:
    rows = np.arange(60)
    return pd.DataFrame({"a": rows % 7, "b": rows.astype("float64"), "name": [f"s{row % 3}" for row in rows]})


def array() -> da.Array:
    return da.from_array(np.arange(400.0).reshape(20, 20), chunks=(5, 10))


def tree() -> Any:
    leaves = [dask.delayed(increment)(leaf) for leaf in range(8)]
    return dask.delayed(merged)(*[dask.delayed(double)(leaf) for leaf in leaves])


def same(first: Any, second: Any) -> None:
    """Check that two results are equal, bit for bit and type by type."""
    assert type(first) is type(second)
    if isinstance(first, pd.DataFrame):
        pd.testing.assert_frame_equal(first, second)
    elif isinstance(first, pd.Series):
        pd.testing.assert_series_equal(first, second)
    else:
        np.testing.assert_array_equal(first, second)


COLLECTIONS: dict[str, Callable[[], Any]] = {
    "delayed": tree,
    "array-sum": lambda: array().sum(),
    "array-chain": lambda: ((array() + 1).T @ array()).mean(axis=0).cumsum(axis=0),
    "array-blocks": lambda: array().map_blocks(np.sqrt, dtype="float64").rechunk((20, 2)),
    "array-overlap": lambda: array().map_overlap(lambda block: block + 1, depth=1, boundary="reflect"),
    "array-slices": lambda: da.concatenate([array()[::2], array()[1::2]])[:, 3] - da.arange(20, chunks=7),
    "array-seeded": lambda: da.random.default_rng(7).normal(size=(30, 30), chunks=10).std(),
    "array-svd": lambda: da.linalg.svd(array().rechunk((5, 20)))[1],
    "bag": lambda: db.from_sequence(range(20), npartitions=4).filter(is_even).map(double).sum(),
    "bag-fold": lambda: db.from_sequence(range(20), npartitions=3).map(increment).fold(add),
    "bag-groups": lambda: db.from_sequence(range(20), npartitions=3).foldby(is_even, add, 0),
    "frame": lambda: dd.from_pandas(frame(), npartitions=4).map_partitions(widened),
    "frame-groupby": lambda: dd.from_pandas(frame(), npartitions=4).groupby("name").b.mean(),
    "frame-filter": lambda: dd.from_pandas(frame(), npartitions=4).query("a > 2")[["a", "b"]].sum(),
    "frame-merge": lambda: dd.from_pandas(frame(), npartitions=3).merge(
        frame()[["a"]].drop_duplicates().assign(w=1.5), on="a"
    ),
    "frame-quantile": lambda: dd.from_pandas(frame(), npartitions=3).b.quantile(0.5),
}


@pytest.mark.parametrize("name", COLLECTIONS)
def test_collections_equal_plain(make_client: Callable[..., DiracClient], plain_client: Client, name: str) -> None:
    """Every kind of collection gives a plain client's result, cold and warm, and the second run runs nothing."""
    make = COLLECTIONS[name]
    with plain_client.as_current():
        expected = plain_client.compute(make()).result()
    cold = make_client()
    same(cold.compute(make()).result(), expected)
    assert counts(cold)[0] > 0
    cold.close()
    warm = make_client()
    same(warm.compute(make()).result(), expected)
    assert counts(warm)[0] == 0
    assert counts(warm)[1] > 0


SHUFFLES: dict[str, Callable[[], Any]] = {
    "frame-shuffle": lambda: dd.from_pandas(frame(), npartitions=3).shuffle("a").map_partitions(len),
    "frame-sort": lambda: dd.from_pandas(frame(), npartitions=3).sort_values("b", ascending=False).b,
    "frame-merge": lambda: (
        dd.from_pandas(frame(), npartitions=3)
        .merge(dd.from_pandas(frame()[["a"]].drop_duplicates().assign(w=1.5), npartitions=2), on="a")
        .w.sum()
    ),
    "array-rechunk": lambda: (array() + 1).rechunk((20, 2)).sum(axis=0),
}


@pytest.mark.parametrize("name", SHUFFLES)
def test_shuffles_between_workers(make_client: Callable[..., DiracClient], plain_client: Client, name: str) -> None:
    """P2P shuffles move data outside the graph: they run every time, give plain results, and the report says why."""
    with dask.config.set({"dataframe.shuffle.method": "p2p", "array.rechunk.method": "p2p"}):
        with plain_client.as_current():
            expected = plain_client.compute(SHUFFLES[name]()).result()
        for _ in range(2):
            client = make_client()
            same(client.compute(SHUFFLES[name]()).result(), expected)
            assert counts(client)[0] > 0
            assert "P2P" in str(client.report)
            client.close()


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


@pytest.mark.filterwarnings("ignore:Computing mixed collections")
def test_several_collections_of_different_kinds_at_once(make_client: Callable[..., DiracClient]) -> None:
    """One `dask.compute` of a mixture is one plan."""
    rows = frame()[["a", "b"]]
    for expected_to_run in (True, False):
        client = make_client()
        number, block, computed = dask.compute(tree(), array().sum(), dd.from_pandas(rows, npartitions=2))
        assert number == 72
        assert block == np.arange(400.0).sum()
        pd.testing.assert_frame_equal(computed, rows)
        assert (counts(client)[0] > 0) is expected_to_run
        client.close()


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


def test_persisted_bag_and_frame(make_client: Callable[..., DiracClient]) -> None:
    """Persisted bags and dataframes are read from memory, and what is computed from them is kept."""

    def work(client: DiracClient) -> tuple[int, float]:
        bag = client.persist(db.from_sequence(range(10), npartitions=2).map(double))
        rows = client.persist(dd.from_pandas(frame(), npartitions=2).map_partitions(widened))
        return client.compute(bag.sum()).result(), float(client.compute(rows.c.sum()).result())

    cold = make_client()
    expected = work(cold)
    assert expected == (90, float(widened(frame()).c.sum()))
    cold.close()
    warm = make_client()
    assert work(warm) == expected
    assert counts(warm)[0] == 0


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
    with pytest.raises(TypeError, match="plan takes dask collections, got a int"):
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
