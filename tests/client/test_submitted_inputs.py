"""What `submit` and `map` are given: by place and by name, large, scattered, and futures within containers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cachingclient import DiracClient
from tests.support.reported import counts, twice


def increment(x: Any) -> Any:
    return x + 1


def double(x: Any) -> Any:
    return x * 2


def total(values: Any) -> Any:
    return sum(values.values()) if isinstance(values, dict) else sum(values)


def deep(nest: dict[str, Any]) -> Any:
    first, (second, third) = nest["pair"], nest["rest"]
    return first + second + third["last"]


def combine(*args: int, scale: int = 1, **more: int) -> int:
    return (sum(args) + sum(more.values())) * scale


def weighted(x: int, weights: np.ndarray) -> float:
    return float(x * weights.sum())


def test_positional_and_keyword_arguments(make_client: Callable[..., DiracClient]) -> None:
    """Arguments are told apart by place and by name."""
    client = make_client()
    calls = [((1, 2), {}), ((2, 1), {"scale": 3}), ((), {"scale": 3, "a": 1}), ((), {"scale": 3, "b": 1})]
    for args, kwargs in calls:
        assert client.submit(combine, *args, **kwargs).result() == combine(*args, **kwargs)
        assert counts(client) == (1, 0, 1)


def test_map_with_a_large_keyword(make_client: Callable[..., DiracClient]) -> None:
    """A large keyword argument, which distributed sends as a task of its own, counts by its content."""
    weights = np.arange(300_000.0)

    def work(weights: np.ndarray) -> Callable[[DiracClient], list[float]]:
        return lambda client: client.gather(client.map(weighted, range(4), weights=weights))

    cold, warm = twice(make_client, work(weights))
    assert cold[0] == warm[0] == [x * weights.sum() for x in range(4)]
    assert warm[1] == (0, 4, 0)
    changed = make_client()
    assert work(weights + 1)(changed) == [x * (weights + 1).sum() for x in range(4)]
    assert counts(changed)[0] == 4


def test_what_follows_an_impure_step_is_found_by_content(make_client: Callable[..., DiracClient]) -> None:
    """A step after one that runs every time is found by what it was given."""

    def work(client: DiracClient) -> int:
        return client.submit(double, client.submit(increment, 1, pure=False)).result()

    cold, warm = twice(make_client, work)
    assert cold == (4, (1, 0, 1))
    assert warm == (4, (0, 0, 0))


@pytest.mark.parametrize("hash", [True, False], ids=["hash", "nohash"])
@pytest.mark.parametrize("broadcast", [True, False], ids=["broadcast", "one"])
def test_scattered_data_counts_by_content(make_client: Callable[..., DiracClient], hash: bool, broadcast: bool) -> None:
    """Scattered data is an input by its content, however it was scattered."""

    def work(client: DiracClient) -> list[Any]:
        options = {"hash": hash, "broadcast": broadcast}
        single = client.scatter(7, **options)
        several = client.scatter([1, 2], **options)
        named = client.scatter({"a": np.arange(5)}, **options)
        futures = [client.submit(increment, single), client.submit(total, several)]
        return [*client.gather(futures), int(client.submit(np.sum, named["a"]).result())]

    cold, warm = twice(make_client, work)
    assert cold == ([8, 3, 10], (1, 0, 1))
    assert warm == ([8, 3, 10], (0, 1, 0))


def test_scattered_data_that_differs_misses(make_client: Callable[..., DiracClient]) -> None:
    """Other data under the same name is other data."""
    for data, expected in ((np.arange(3), 3), (np.arange(4), 6)):
        client = make_client()
        scattered = client.scatter({"data": data})
        assert client.submit(np.sum, scattered["data"]).result() == expected
        assert counts(client)[0] == 1
        client.close()


def test_sets_and_tuples_are_scattered(client: DiracClient) -> None:
    """Every kind of collection that distributed scatters comes back whole."""
    assert client.gather(client.scatter((1, 2))) == (1, 2)
    assert sorted(client.gather(list(client.scatter({3, 4})))) == [3, 4]


@pytest.mark.parametrize("nested", ["list", "dict", "deep"])
def test_futures_in_containers(make_client: Callable[..., DiracClient], nested: str) -> None:
    """Futures inside lists, dicts and tuples are followed."""

    def work(client: DiracClient) -> int:
        one, two, three = client.map(increment, [0, 1, 2])
        if nested == "list":
            return client.submit(total, [one, two, three]).result()
        if nested == "dict":
            return client.submit(total, {"a": one, "b": two, "c": three}).result()
        return client.submit(deep, {"pair": one, "rest": (two, {"last": three})}).result()

    assert twice(make_client, work) == [(6, (1, 0, 1)), (6, (0, 1, 0))]


def test_order_of_futures_in_a_list_counts(client: DiracClient) -> None:
    """The same futures in another order are another call."""
    one, two = client.map(increment, [0, 1])
    assert client.submit(operator.getitem, [one, two], 0).result() == 1
    assert client.submit(operator.getitem, [two, one], 0).result() == 2
