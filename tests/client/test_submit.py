"""`submit` and `map` on a caching client: every option, and the futures they give, with distributed's results."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster, as_completed, wait

from cachingclient import DiracClient
from tests.support.reported import counts, twice


def increment(x: Any) -> Any:
    return x + 1


def double(x: Any) -> Any:
    return x * 2


def failing(x: int) -> int:
    raise ValueError(f"no {x}")


async def increment_later(x: int) -> int:
    return x + 1


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def increment(self) -> int:
        self.count += 1
        return self.count

    def scaled(self, x: int) -> int:
        return x * 3


class Scaler:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def scaled(self, x: int) -> int:
        return x * self.factor


def test_submit_runs_once(make_client: Callable[..., DiracClient]) -> None:
    """A second client loads what the first one ran."""
    assert twice(make_client, lambda client: client.submit(increment, 1).result()) == [(2, (1, 0, 1)), (2, (0, 1, 0))]


def test_chain_of_submits(make_client: Callable[..., DiracClient]) -> None:
    """A future as argument stands for the step behind it."""

    def work(client: DiracClient) -> int:
        first = client.submit(increment, 1)
        second = client.submit(double, first)
        return client.submit(operator.add, second, first).result()

    assert twice(make_client, work) == [(6, (1, 0, 1)), (6, (0, 1, 0))]


def test_map_over_values_and_futures(make_client: Callable[..., DiracClient]) -> None:
    """`map` over numbers, then over the futures of that, is kept step by step."""

    def work(client: DiracClient) -> list[int]:
        return client.gather(client.map(double, client.map(increment, range(20))))

    cold, warm = twice(make_client, work)
    assert cold == ([2 * (x + 1) for x in range(20)], (20, 0, 20))
    assert warm == (cold[0], (0, 20, 0))


@pytest.mark.parametrize(
    "options",
    [
        {"key": "mine"},
        {"priority": 5},
        {"retries": 2},
        {"fifo_timeout": "1s"},
        {"workers": "first"},
        {"workers": "first", "allow_other_workers": True},
        {"resources": {}},
    ],
    ids=lambda options: "+".join(options),
)
@pytest.mark.parametrize("how", ["submit", "map"])
def test_options(
    make_client: Callable[..., DiracClient], cluster: LocalCluster, options: dict[str, Any], how: str
) -> None:
    """No option of `submit` and `map` changes what is found again."""
    if options.get("workers"):
        options = options | {"workers": [next(iter(cluster.scheduler_info["workers"]))]}

    def work(client: DiracClient) -> list[int]:
        if how == "submit":
            return [client.submit(increment, 41, **options).result()]
        return client.gather(client.map(increment, [41], **options))

    assert twice(make_client, work) == [([42], (1, 0, 1)), ([42], (0, 1, 0))]


def test_key_is_the_users(client: DiracClient) -> None:
    """A key that the user names is the key of the future."""
    assert client.submit(increment, 1, key=("mine", 3)).key == ("mine", 3)
    assert [future.key for future in client.map(increment, [1, 2], key=["a", "b"])] == ["a", "b"]


def test_keys_are_those_of_a_plain_client(client: DiracClient, plain_client: Client) -> None:
    """Progress bars and the dashboard see the same keys as without the cache."""
    assert client.submit(increment, 1).key == plain_client.submit(increment, 1).key
    ours, theirs = client.map(increment, [1, 2]), plain_client.map(increment, [1, 2])
    assert [future.key for future in ours] == [future.key for future in theirs]


def test_renamed_key_hits(make_client: Callable[..., DiracClient]) -> None:
    """The name of a key is no part of a step."""
    first = make_client()
    assert first.submit(increment, 1, key="one").result() == 2
    first.close()
    second = make_client()
    assert second.submit(increment, 1, key="another").result() == 2
    assert counts(second) == (0, 1, 0)


@pytest.mark.parametrize("batch_size", [None, 3, 100])
def test_map_in_batches(make_client: Callable[..., DiracClient], batch_size: int | None) -> None:
    """Batches are a way of sending: what was kept in one go is found in batches of any size."""
    cold = make_client()
    expected = cold.gather(cold.map(increment, range(10)))
    cold.close()
    warm = make_client()
    assert warm.gather(warm.map(increment, range(10), batch_size=batch_size)) == expected
    warm.flush()
    assert sum(report.summary().total.loaded for report in warm.reports) == 10
    assert sum(report.summary().total.ran for report in warm.reports) == 0


@pytest.mark.parametrize("how", ["submit", "map", "executor"])
def test_impure_runs_every_time(make_client: Callable[..., DiracClient], how: str) -> None:
    """`pure=False` says that the function is not a function of its arguments."""

    def work(client: DiracClient) -> list[int]:
        if how == "submit":
            return [client.submit(increment, 1, pure=False).result()]
        if how == "map":
            return client.gather(client.map(increment, [1], pure=False))
        with client.get_executor(pure=False) as executor:
            return [executor.submit(increment, 1).result()]

    assert twice(make_client, work) == [([2], (1, 0, 0)), ([2], (1, 0, 0))]


def test_actors_pass_through(client: DiracClient) -> None:
    """An actor keeps its state, and nothing of it is kept in the store."""
    counter = client.submit(Counter, actor=True).result()
    assert [counter.increment().result() for _ in range(3)] == [1, 2, 3]
    several = client.gather(client.map(Scaler, [2, 3], actor=True))
    assert [scaler.scaled(5).result() for scaler in several] == [10, 15]
    client.flush()
    assert list(client.cache.scan()) == []  # type: ignore[union-attr]


def test_as_completed(make_client: Callable[..., DiracClient]) -> None:
    """`as_completed` gives every result, run or loaded."""

    def work(client: DiracClient) -> list[int]:
        return sorted(result for _, result in as_completed(client.map(increment, range(10)), with_results=True))

    assert twice(make_client, work) == [(list(range(1, 11)), (10, 0, 10)), (list(range(1, 11)), (0, 10, 0))]


def test_as_completed_with_more_futures_on_the_way(client: DiracClient) -> None:
    """Futures added while iterating are completed too."""
    iterator = as_completed([client.submit(increment, 0)])
    seen = []
    for future in iterator:
        seen.append(future.result())
        if len(seen) < 5:
            iterator.add(client.submit(increment, future))
    assert seen == [1, 2, 3, 4, 5]


def test_executor(make_client: Callable[..., DiracClient]) -> None:
    """The executor's `submit` and `map` are cached like the client's."""

    def work(client: DiracClient) -> list[int]:
        with client.get_executor() as executor:
            return list(executor.map(increment, range(3)))

    cold, warm = twice(make_client, work)
    assert cold == ([1, 2, 3], (3, 0, 3))
    assert warm == ([1, 2, 3], (0, 3, 0))


def test_coroutine_functions_run_every_time(make_client: Callable[..., DiracClient]) -> None:
    """A coroutine function runs in the event loop as it does without the cache, and the report says why."""
    client = make_client()
    assert client.submit(increment_later, 1).result() == 2
    assert counts(client) == (1, 0, 0)
    assert "coroutine" in str(client.report)


def test_methods_builtins_and_ufuncs(make_client: Callable[..., DiracClient]) -> None:
    """Bound methods, builtins, ufuncs, operators and lambdas are steps like functions."""

    def work(client: DiracClient) -> list[Any]:
        functions: list[Callable[[int], Any]] = [Counter().scaled, abs, np.negative, operator.neg, lambda x: x - 1]
        return [int(client.submit(function, 5).result()) for function in functions]

    cold, warm = twice(make_client, work)
    assert cold == ([15, 5, -5, -5, 4], (1, 0, 1))
    assert warm == ([15, 5, -5, -5, 4], (0, 1, 0))


def test_same_call_twice_is_one_future(client: DiracClient) -> None:
    """As in distributed, an equal call is the same key, and nothing is sent for it."""
    first, second = client.submit(increment, 1), client.submit(increment, 1)
    assert first.key == second.key
    assert len(client.reports) == 1
    assert client.gather([first, second]) == [2, 2]


def test_wait_and_status(make_client: Callable[..., DiracClient]) -> None:
    """Futures of hits finish as computed ones do, and have the type of what nobody has read yet."""
    for _ in range(2):
        client = make_client()
        futures = client.map(increment, range(5))
        done = wait(futures).done
        assert {future.status for future in done} == {"finished"}
        assert {future.type for future in done} == {int}
        client.close()


def test_errors_can_be_retried(make_client: Callable[..., DiracClient], tmp_path: Path) -> None:
    """`Future.retry` runs a failed step again; its result counts for as long as the file is there that it found."""
    marker = tmp_path / "now"

    def fragile(x: int, folder: Path) -> int:
        return x if (folder / "now").exists() else failing(x)

    client = make_client()
    future = client.submit(fragile, 1, tmp_path)
    assert isinstance(future.exception(), ValueError)
    marker.touch()
    future.retry()
    assert future.result() == 1
    assert counts(client) == (1, 0, 1)
    client.close()
    warm = make_client()
    assert warm.submit(fragile, 1, tmp_path).result() == 1
    assert counts(warm) == (0, 1, 0)
    warm.close()
    marker.unlink()
    with pytest.raises(ValueError, match="no 1"):
        make_client().submit(fragile, 1, tmp_path).result()


def test_annotations_around_submit(make_client: Callable[..., DiracClient]) -> None:
    """`dask.annotate` around `submit` reaches the scheduler, and ``cache=False`` keeps nothing."""
    client = make_client()
    with dask.annotate(cache=False, priority=3):
        assert client.submit(increment, 1).result() == 2
    assert counts(client) == (1, 0, 0)
