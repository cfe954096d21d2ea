"""Dask collections as its documentation shows them.

``python -m tests.corpus.collections`` prints which of their steps are uncacheable, and why.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import numpy as np
import pandas as pd
from dask import delayed


def inc(x: Any) -> Any:
    """Return one more."""
    return x + 1


def double(x: Any) -> Any:
    """Return twice as much."""
    return 2 * x


def add(x: Any, y: Any) -> Any:
    """Return the sum."""
    return x + y


def is_even(x: int) -> bool:
    """Tell even numbers."""
    return x % 2 == 0


def table() -> pd.DataFrame:
    """Return a small table."""
    times = pd.date_range("2026-01-01", periods=40, freq="h")
    return pd.DataFrame(
        {"name": [f"n{i % 4}" for i in range(40)], "x": np.arange(40.0), "y": np.arange(40) % 7}, index=times
    )


def frame() -> Any:
    """Return it in partitions."""
    return dd.from_pandas(table(), npartitions=4)


def ones() -> Any:
    """Return an array in chunks."""
    return da.ones((20, 20), chunks=(10, 10))


def numbers() -> Any:
    """Return a bag of numbers."""
    return db.from_sequence(range(20), npartitions=4)


def tree() -> Any:
    """Return a reduction of delayed calls."""
    level = [delayed(inc)(i) for i in range(8)]
    while len(level) > 1:
        level = [delayed(add)(a, b) for a, b in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def looped() -> Any:
    """Return the sum of a loop of delayed calls."""
    output = [delayed(add)(delayed(inc)(x), delayed(double)(x)) for x in range(5)]
    return delayed(sum)(output)


def blocks() -> Any:
    """Return an array of delayed blocks."""
    return da.concatenate([da.from_delayed(delayed(np.full)((5,), i), (5,), float) for i in range(3)])


def seeded() -> Any:
    """Return seeded random numbers."""
    return da.random.default_rng(42).normal(10, 0.1, size=(20, 20), chunks=(10, 10)).mean()


def unseeded() -> Any:
    """Return random numbers of which only the range is compared."""
    return (da.random.default_rng().random(100, chunks=50) < 2).all()


EXAMPLES: dict[str, Callable[[], Any]] = {
    "array: sum": lambda: ones().sum(),
    "array: arithmetic": lambda: (ones() + 1)[:5, ::2],
    "array: transpose and dot": lambda: (ones() + ones().T).dot(ones())[0],
    "array: mean and std": lambda: da.arange(100, chunks=10).std(),
    "array: map_blocks": lambda: ones().map_blocks(inc),
    "array: map_overlap": lambda: da.arange(20, chunks=5).map_overlap(inc, depth=1, boundary=0),
    "array: rechunk": lambda: ones().rechunk((5, 20)).sum(axis=0),
    "array: from_array": lambda: da.from_array(np.arange(24).reshape(4, 6), chunks=(2, 3)).max(axis=1),
    "array: from_delayed": blocks,
    "array: histogram": lambda: da.histogram(da.arange(100, chunks=10), bins=5, range=(0, 100))[0],
    "array: boolean mask": lambda: (lambda x: x[x > 50])(da.arange(100, chunks=10)),
    "array: stack": lambda: da.stack([ones(), ones()]).sum(axis=0),
    "array: blockwise": lambda: da.blockwise(add, "ij", ones(), "ij", ones(), "ij", dtype=float),
    "array: svd": lambda: da.linalg.svd(da.ones((20, 4), chunks=(5, 4)))[1],
    "array: seeded random": seeded,
    "array: unseeded random": unseeded,
    "array: apply_along_axis": lambda: da.apply_along_axis(np.sum, 0, ones()),
    "array: gufunc": lambda: da.apply_gufunc(lambda a: a.mean(axis=-1), "(i)->()", ones().rechunk((10, 20))),
    "dataframe: mean of a column": lambda: frame().x.mean(),
    "dataframe: filter": lambda: frame()[frame().y > 3],
    "dataframe: groupby": lambda: frame().groupby("name").x.mean(),
    "dataframe: groupby aggregate": lambda: frame().groupby("name").agg({"x": "max", "y": "sum"}),
    "dataframe: resample": lambda: frame().x.resample("6h").sum(),
    "dataframe: rolling": lambda: frame().x.rolling(3).sum(),
    "dataframe: map_partitions": lambda: frame().map_partitions(len),
    "dataframe: assign": lambda: frame().assign(z=lambda d: d.x + d.y),
    "dataframe: apply": lambda: frame().x.apply(inc, meta=("x", "f8")),
    "dataframe: merge": lambda: frame().merge(pd.DataFrame({"name": ["n0", "n1"], "w": [1, 2]}), on="name"),
    "dataframe: set_index": lambda: frame().set_index("y").x.sum(),
    "dataframe: sort_values": lambda: frame().sort_values("y").x.sum(),
    "dataframe: value_counts": lambda: frame().name.value_counts(),
    "dataframe: from_delayed": lambda: dd.from_delayed([delayed(table)()]).x.sum(),
    "dataframe: from_map": lambda: dd.from_map(lambda i: table().iloc[i : i + 5], [0, 5, 10]).x.sum(),
    "dataframe: describe": lambda: frame().x.describe(),
    "bag: map and filter": lambda: numbers().filter(is_even).map(double),
    "bag: sum": lambda: numbers().map(lambda x: x**2).sum(),
    "bag: fold": lambda: numbers().fold(add),
    "bag: foldby": lambda: numbers().foldby(is_even, add, 0),
    "bag: groupby": lambda: numbers().groupby(is_even).map(lambda pair: (pair[0], sorted(pair[1]))),
    "bag: frequencies": lambda: numbers().map(lambda x: x % 3).frequencies(),
    "bag: pluck": lambda: db.from_sequence([{"name": "a", "n": i} for i in range(5)], npartitions=2).pluck("n"),
    "bag: topk": lambda: numbers().topk(3),
    "bag: to_dataframe": lambda: numbers().map(lambda x: {"x": x}).to_dataframe().x.sum(),
    "bag: reduction": lambda: numbers().reduction(sum, sum),
    "delayed: loop": looped,
    "delayed: tree": tree,
    "delayed: containers": lambda: delayed(len)([delayed(inc)(1), {"a": delayed(inc)(2)}]),
    "delayed: method": lambda: delayed("a-b").split("-"),
    "delayed: attribute": lambda: delayed(3 + 4j).real,
    "delayed: item": lambda: delayed(dict)(a=1)["a"],
    "delayed: pure": lambda: delayed(add, pure=True)(delayed(inc, pure=True)(1), 2),
    "delayed: lambda": lambda: delayed(lambda x: x + 41)(1),
    "delayed: nout": lambda: delayed(lambda: (1, 2), nout=2)()[1],
    "delayed: annotated": lambda: _annotated(),
}  # fmt: skip
"""Each builds one collection."""


SHUFFLE = "P2P shuffle"
UNCACHEABLE = {"dataframe: set_index": SHUFFLE, "dataframe: sort_values": SHUFFLE, "dataframe: value_counts": SHUFFLE}
"""The examples that have steps without an identity, and why."""
OTHER_EACH_TIME = {"array: unseeded random"}
"""The examples that start from other numbers each time."""


def _annotated() -> Any:
    with dask.annotate(priority=3):
        return delayed(inc)(1)


def main() -> None:
    """Print what is uncacheable in each example."""
    from cachingclient import DiracClient

    found: dict[str, set[str]] = {}
    with DiracClient(processes=False, dashboard_address=None, cache=f"file://{tempfile.mkdtemp()}") as client:
        for name, example in EXAMPLES.items():
            steps = client.plan(example()).steps.values()
            for step in steps:
                if step.reason:
                    found.setdefault(name, set()).add(f"{step.name}: {step.reason}")
            lacking = sum(bool(step.reason) for step in steps)
            print(f"{name:35} {len(steps):4} steps, {lacking:3} uncacheable")
    for name, reasons in found.items():
        print(f"\n{name}", *sorted(reasons), sep="\n  ")
    print(f"\n{len(EXAMPLES)} examples, {len(EXAMPLES) - len(found)} of them cacheable to the last step")


if __name__ == "__main__":
    main()
