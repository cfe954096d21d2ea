"""The asynchronous client: the same planning, keeping and recovering, awaited."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import as_completed, wait

from cachingclient import DiracClient


def increment(x: Any) -> Any:
    return x + 1


def block(number: int) -> np.ndarray:
    return np.full(50_000, number)


def failing(x: int) -> int:
    raise ValueError(f"no {x}")


async def counts(client: DiracClient) -> tuple[int, int, int]:
    """How many steps of the last graph ran, were loaded and were kept."""
    await client.flush()
    assert client.report is not None
    row = client.report.summary().total
    return row.ran, row.loaded, row.kept


async def by_submit(client: DiracClient) -> Any:
    return await client.submit(increment, client.submit(increment, 1))


async def by_map(client: DiracClient) -> Any:
    return await client.gather(client.map(increment, range(5)))


async def by_compute(client: DiracClient) -> Any:
    return await client.compute(dask.delayed(increment)(dask.delayed(increment)(1)))


async def by_persist(client: DiracClient) -> Any:
    persisted = client.persist(da.ones((4, 4), chunks=2) + 1)
    return float(await client.compute(persisted.sum()))


async def by_get(client: DiracClient) -> Any:
    return await client.gather(client.get({"a": (increment, 1), "b": (increment, "a")}, "b", sync=False))


async def by_scatter(client: DiracClient) -> Any:
    future = await client.scatter({"a": 1})
    several = await client.scatter([1, 2])
    one = await client.scatter(np.arange(3))
    results = [client.submit(increment, future["a"]), *client.map(increment, several)]
    return [*(await client.gather(results)), int(await client.submit(np.sum, one))]


async def by_as_completed(client: DiracClient) -> Any:
    return sorted([await future async for future in as_completed(client.map(increment, range(4)))])


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        (by_submit, 3),
        (by_map, [1, 2, 3, 4, 5]),
        (by_compute, 3),
        (by_persist, 32.0),
        (by_get, 3),
        (by_scatter, [2, 2, 3, 3]),
        (by_as_completed, [1, 2, 3, 4]),
    ],
)
async def test_every_way_cold_and_warm(
    make_async_client: Callable[..., Any], way: Callable[..., Any], expected: Any
) -> None:
    """Each way to ask gives its result, runs the first time and is loaded the second."""
    cold = await make_async_client()
    assert await way(cold) == expected
    assert (await counts(cold))[0] > 0
    await cold.close()
    warm = await make_async_client()
    assert await way(warm) == expected
    ran, loaded, _ = await counts(warm)
    assert (ran, loaded > 0) == (0, True)


async def test_many_at_once(async_client: DiracClient) -> None:
    """Many coroutines may use one client."""

    async def one(number: int) -> int:
        return await async_client.submit(increment, number)

    assert await asyncio.gather(*map(one, range(30))) == list(range(1, 31))


async def test_errors(async_client: DiracClient) -> None:
    """A step's error is raised where its future is awaited."""
    with pytest.raises(ValueError, match="no 3"):
        await async_client.submit(failing, 3)


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
async def test_lost_entries(
    make_async_client: Callable[..., Any], cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries that vanish after planning are computed again under the futures that wait."""
    cold = await make_async_client()
    await cold.gather(cold.map(block, range(4)))
    await cold.close()
    warm = await make_async_client()
    find = warm._submission.find

    def find_then_lose(keys: Any, **options: Any) -> Any:
        found = find(keys, **options)
        shutil.rmtree(cache_folder / "v1" / "blobs", ignore_errors=True)
        return found

    monkeypatch.setattr(warm._submission, "find", find_then_lose)
    futures = warm.map(block, range(4))
    await wait(futures, timeout=300)
    assert [int(value[0]) for value in await warm.gather(futures)] == [0, 1, 2, 3]


async def test_closing_flushes(make_async_client: Callable[..., Any]) -> None:
    """What was computed is in the store once `close` returns."""
    client = await make_async_client()
    await client.gather(client.map(block, range(6)))
    await client.close()
    assert client.cache is not None
    assert len([info for info in client.cache.scan() if info.kind == "result"]) == 6


async def test_plan(async_client: DiracClient) -> None:
    """`plan` is no coroutine: it runs nothing, and waits for nothing but the store."""
    collection = dask.delayed(increment)(1)
    assert "1 of 1 steps to run" in str(async_client.plan(collection))
    await async_client.compute(collection)
    await async_client.flush()
    fresh = dask.delayed(increment)(1)
    assert "1 to load" in str(async_client.plan(fresh))
