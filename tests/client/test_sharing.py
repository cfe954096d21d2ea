"""Several graphs at once, keys that meet, workers that go: what the scheduler holds is used right."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable
from typing import Any

import dask
import numpy as np
import pytest
from distributed import (
    Client,
    Event,
    LocalCluster,
    as_completed,
    fire_and_forget,
    get_task_stream,
    wait,
)

from cachingclient import DiracClient
from tests.client.chains import chain, double, increment
from tests.support.reported import counts


def merged(*parts: int) -> int:
    return sum(parts)


def weighted(x: int, weights: np.ndarray) -> float:
    return float(x * weights.sum())


def gated(x: int, name: str) -> int:
    Event(name).wait(timeout=300)
    return x + 1


def complaints(client: Client) -> list[str]:
    """What the scheduler logged about keys that came back different."""
    return [text for _, text in client.get_scheduler_logs() if "Detected different" in text]


@pytest.fixture
def quiet(client: DiracClient) -> Any:
    """The client, checked at the end: the scheduler must have had nothing to complain of."""
    before = len(complaints(client))
    yield client
    assert complaints(client)[before:] == []


def released(client: DiracClient, key: Any) -> None:
    """Wait until the client has let go of a key whose future is gone."""
    gc.collect()
    client.sync(_released, client, key)


async def _released(client: DiracClient, key: Any) -> None:
    while key in client.futures:
        await asyncio.sleep(0.001)


def test_intermediate_of_a_live_graph_is_asked_for(quiet: DiracClient) -> None:
    """A step inside a graph whose future lives is computed on its own without upsetting the scheduler."""
    first, second, third = chain()
    live = quiet.compute(third)
    assert live.result() == 12
    quiet.flush()
    assert quiet.compute(second).result() == 6
    assert quiet.compute(first).result() == 5
    assert live.result() == 12


def test_longer_graph_over_a_live_one(quiet: DiracClient) -> None:
    """A graph that contains a live one builds on it."""
    _, second, third = chain()
    live = quiet.compute(third)
    assert live.result() == 12
    quiet.flush()
    assert quiet.compute(dask.delayed(merged, pure=True)(second, third)).result() == 18


def test_intermediate_stays_known_while_any_graph_needs_it(quiet: DiracClient) -> None:
    """Of two graphs over one step, the one that is released does not take the step away from the other."""
    _, second, _ = chain()
    with dask.annotate(cache=False):
        one, two = dask.delayed(double, pure=True)(second), dask.delayed(merged, pure=True)(second)
    live, gone = quiet.compute(one), quiet.compute(two)
    assert quiet.gather([live, gone]) == [12, 6]
    quiet.flush()
    key = gone.key
    del gone
    released(quiet, key)
    with dask.annotate(cache=False):
        three = dask.delayed(merged, pure=True)(second, 1)
    assert quiet.compute(three).result() == 7
    assert live.result() == 12


def test_same_graph_while_the_first_is_running(quiet: DiracClient) -> None:
    """A graph that is asked for again while it runs is run once."""
    gate = Event("same-graph", client=quiet)
    slow = dask.delayed(gated, pure=True)(1, "same-graph")
    top = dask.delayed(double, pure=True)(slow)
    first = quiet.compute(top)
    second = quiet.compute(dask.delayed(merged, pure=True)(slow, top))
    gate.set()
    assert (first.result(timeout=300), second.result(timeout=300)) == (4, 6)


def test_key_reused_by_hand_poisons_nothing(make_client: Callable[..., DiracClient]) -> None:
    """Two graphs that use one hand-made key for different things leave only right results in the store."""
    client = make_client()
    live = client.get({"x": (increment, 1), "y": (double, "x")}, "y", sync=False)
    assert client.gather(live) == 4
    again = client.get({"x": (increment, 10), "z": (double, "x")}, "z", sync=False)
    client.gather(again)
    client.close()
    later = make_client()
    assert later.get({"p": (increment, 10), "q": (double, "p")}, "q") == 22
    assert later.get({"r": (increment, 1), "s": (double, "r")}, "s") == 4


def test_wanted_key_reused_by_hand_poisons_nothing(make_client: Callable[..., DiracClient]) -> None:
    """A wanted key that a live graph uses for something else leaves only right results in the store."""
    client = make_client()
    live = client.get({"x": (increment, 1), "y": (double, "x")}, "y", sync=False)
    assert client.gather(live) == 4
    client.get({"x": (increment, 10)}, "x")
    client.get({"y": (increment, 20)}, "y")
    client.close()
    later = make_client()
    assert later.get({"p": (increment, 10)}, "p") == 11
    assert later.get({"q": (increment, 20)}, "q") == 21


def test_two_maps_with_large_keywords_of_one_name(client: DiracClient) -> None:
    """Large keyword arguments that have one name and different contents do not meet at the scheduler."""
    ones, twos = np.ones(200_000), np.full(200_000, 2.0)
    first = client.map(weighted, [1, 2], weights=ones)
    second = client.map(weighted, [1, 2], weights=twos)
    assert client.gather(first) == [200_000.0, 400_000.0]
    assert client.gather(second) == [400_000.0, 800_000.0]


def test_rebinding_a_future(client: DiracClient) -> None:
    """Releasing a future while the same step is asked for again loses nothing."""
    collection = chain()[2]
    for _ in range(60):
        future = client.compute(collection)
        del future
        future = client.compute(collection)
        assert future.result(timeout=300) == 12
        del future


def test_held_intermediate_released_right_after_sending(client: DiracClient) -> None:
    """A graph over a step that was held when it was planned survives the release of that step's future."""
    _, second, _ = chain()
    for number in range(30):
        held = client.compute(second)
        wait(held)
        with dask.annotate(cache=False):
            top = client.compute(dask.delayed(merged)(second, number))
        del held
        assert top.result(timeout=300) == 6 + number


def test_future_outlives_its_inputs(client: DiracClient) -> None:
    """A future lives on when those it was computed from are released."""
    first = client.submit(increment, 1)
    second = client.submit(double, first)
    key = first.key
    del first
    released(client, key)
    assert client.submit(increment, second).result() == 5


def test_cancel_and_ask_again(client: DiracClient) -> None:
    """A cancelled step keeps nothing, and can be asked for again."""
    gate = Event("cancelled", client=client)
    future = client.submit(gated, 1, "cancelled")
    client.cancel(future, force=True)
    assert future.cancelled()
    gate.set()
    assert client.submit(gated, 1, "cancelled", key="again").result(timeout=300) == 2


def test_fire_and_forget(client: DiracClient) -> None:
    """A step whose future nobody holds runs, and is kept."""
    gate = Event("forgotten", client=client)
    future = client.submit(gated, 1, "forgotten")
    fire_and_forget(future)
    key = future.key
    del future
    released(client, key)
    gate.set()
    again = client.submit(gated, 1, "forgotten")
    assert again.result(timeout=300) == 2


def test_task_stream(client: DiracClient) -> None:
    """The task stream shows the tasks, run and loaded, by their own keys."""
    future = client.submit(increment, 1)
    wait(future)
    with get_task_stream(client=client) as stream:
        futures = client.map(increment, range(5))
        wait(futures)
    keys = {task["key"] for task in stream.data}
    assert {future.key for future in futures} - {future.key} <= keys | {client.submit(increment, 1).key}


def test_restart(store_url: str) -> None:
    """After `restart` nothing of what was is remembered but the store."""
    options: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, DiracClient(cluster, cache=store_url, policy="all") as client:
        futures = client.map(increment, range(5))
        scattered = client.scatter(7)
        assert client.gather(client.submit(increment, scattered)) == 8
        assert client.gather(futures) == [1, 2, 3, 4, 5]
        client.flush()
        client.restart()
        assert client.gather(client.map(increment, range(5))) == [1, 2, 3, 4, 5]
        assert counts(client)[:2] == (0, 5)
        del futures, scattered
        registry = client._registry
        gc.collect()
        client.sync(_empty, client)
        assert (len(registry.steps), len(registry.taken), len(registry.runs)) == (0, 0, 0)


async def _empty(client: DiracClient) -> None:
    while client.futures:
        await asyncio.sleep(0.001)


@pytest.mark.slow
def test_killed_worker(store_url: str) -> None:
    """When a worker is killed in the middle, what it had is run or loaded again elsewhere."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        DiracClient(cluster, cache=store_url, policy="all") as client,
    ):
        gate = Event("killed", client=client)
        done = client.map(increment, range(20))
        wait(done)
        waiting = client.map(gated, done, ["killed"] * 20)
        pid = next(iter(client.run(os.getpid).values()))
        os.kill(pid, signal.SIGKILL)
        gate.set()
        assert client.gather(waiting) == [x + 2 for x in range(20)]
        assert client.gather(done) == [x + 1 for x in range(20)]


def test_as_completed_over_several_graphs(client: DiracClient) -> None:
    """Futures of several graphs and kinds complete in one `as_completed`."""
    futures = [client.submit(increment, 1), *client.map(double, range(3)), client.compute(chain()[2])]
    assert sorted(future.result() for future in as_completed(futures)) == [0, 2, 2, 4, 12]
