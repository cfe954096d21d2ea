"""Collections of every kind, computed and persisted: the same results as a plain client gives, bit for bit."""

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
from distributed import Client

from cachingclient import DiracClient
from tests.client.small_collections import array, double, increment, tree
from tests.support.reported import counts


def is_even(x: int) -> bool:
    return x % 2 == 0


def widened(part: pd.DataFrame) -> pd.DataFrame:
    return part.assign(c=part.a * part.b)


def frame() -> pd.DataFrame:
    rows = np.arange(60)
    return pd.DataFrame({"a": rows % 7, "b": rows.astype("float64"), "name": [f"s{row % 3}" for row in rows]})


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
