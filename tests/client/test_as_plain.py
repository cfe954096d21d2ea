"""Where a `DiracClient` stands in the place of dask's client, nobody can tell them apart by anything but what runs."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable
from typing import Any

import dask
import dask.dataframe as dd
import pandas as pd
import pytest
from dask import delayed
from distributed import Client, LocalCluster, wait

from cachingclient import DiracClient, step
from tests.support.waiting import until

FOR_EVER = {"distributed.comm.timeouts.connect": "1h"}
"""A client that waits for a scheduler that is gone does not get away with it."""


@pytest.fixture
def own_cluster() -> Any:
    """A cluster that a test may shut down."""
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0") as cluster:
        yield cluster


def increment(x: int) -> int:
    return x + 1


class Counter:
    """An actor."""

    n = 0

    def add(self, i: int) -> int:
        self.n += i
        return self.n


def add_to(counter: Any, i: int) -> int:
    return counter.add(i).result()


def in_time(function: Callable[[], Any]) -> bool:
    """Whether a call returns at all."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    thread.join(300)
    return not thread.is_alive()


@pytest.mark.parametrize("worked", [False, True], ids=["idle", "after work"])
@pytest.mark.parametrize("owned", [False, True], ids=["by address", "own cluster"])
def test_shutdown_waits_for_no_scheduler_that_is_gone(own_cluster, store_url, owned: bool, worked: bool) -> None:
    """A shutdown ends with what was kept in the store, and does not look for the scheduler afterwards."""
    own: dict[str, Any] = {"n_workers": 1, "processes": False, "dashboard_address": None}
    address, options = (None, own) if owned else (own_cluster.scheduler_address, {})
    with dask.config.set(FOR_EVER):
        client = DiracClient(address, cache=store_url, policy="all", **options)
        if worked:
            assert client.submit(increment, 1).result() == 2
        assert in_time(client.shutdown)
        assert client.status == "closed"
    assert any(each.kind == "result" for each in client.cache.scan()) is worked
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        own_cluster.close()  # dask's cluster looks for its scheduler as long as that


def test_ends_after_its_cluster(own_cluster, store_url) -> None:
    """A client whose cluster was closed before it ends, and ends again."""
    with dask.config.set(FOR_EVER):
        client = DiracClient(own_cluster, cache=store_url, policy="all")
        client.submit(increment, 1).result()
        own_cluster.close()
        assert in_time(client.close)
        assert in_time(client.close)
        assert client.status == "closed"


async def test_asynchronous_shutdown(store_url) -> None:
    """An asynchronous client flushes before it shuts the cluster down, not after."""
    with dask.config.set(FOR_EVER):
        async with (
            LocalCluster(n_workers=1, processes=False, dashboard_address=":0", asynchronous=True) as cluster,
            DiracClient(cluster, asynchronous=True, cache=store_url, policy="all") as client,
        ):
            assert await client.submit(increment, 1) == 2
            await client.shutdown()
            assert client.status == "closed"
            assert any(each.kind == "result" for each in client.cache.scan())


def test_restart_with_work_under_way(store_url) -> None:
    """After a restart in the middle of a graph the client computes on."""
    with DiracClient(n_workers=1, dashboard_address=":0", cache=store_url, policy="all") as client:
        futures = client.map(increment, range(100))
        client.restart()
        assert {future.status for future in futures} == {"cancelled"}
        assert client.gather(client.map(increment, range(100))) == list(range(1, 101))


def test_lists_of_earlier_results(client) -> None:
    """A list, a tuple, a set and a dict of results that earlier graphs took are what they were written as."""
    for i in range(5):
        a = delayed(i, name=f"a-{i}")
        b = a + 1
        held = client.compute(b)
        assert delayed((a, b, 3)).compute() == (i, i + 1, 3)
        assert delayed([a, b, 3]).compute() == [i, i + 1, 3]
        assert delayed({"b": b, "also": [a, {b}]}).compute() == {"b": i + 1, "also": [i, {i + 1}]}
        assert held.result() == i + 1


def test_from_delayed_without_a_check_of_the_meta(client) -> None:
    """An alias that dask has under a key that is not its own is sent under that key."""
    parts = [delayed(pd.Series)([i, i + 1]) for i in range(2)]
    series = dd.from_delayed(parts, meta=pd.Series([], dtype=int), verify_meta=False)
    assert list(series.compute()) == [0, 1, 1, 2]


def test_actors_by_collection(client) -> None:
    """The tasks that make actors are named as dask takes them: by collections, keys, or all of them; False is none."""
    counter = delayed(Counter)()
    added = delayed(max)([delayed(add_to)(counter, i) for i in range(5)])
    assert client.compute(added, actors=counter).result() == 10
    one = client.submit(Counter, actor=True).result()
    assert one.add(3).result() == 3
    assert client.compute(delayed(increment)(1), actors=False).result() == 2
    assert {step.name for step in client.report.plan.steps.values()} == {"increment"}


def test_code_of_a_computation_is_the_users(own_cluster, store_url) -> None:
    """The dashboard shows the code around the user's call, also where the user says which modules to leave out."""
    scheduler = own_cluster.scheduler
    with (
        dask.config.set({"distributed.diagnostics.computations.nframes": 2}),
        DiracClient(own_cluster, cache=store_url, policy="all") as client,
        Client(own_cluster, set_as_default=False) as plain,
    ):

        def frames(call: Callable[[Any], Any]) -> list[list[str]]:
            found = []
            for each in (client, plain):
                call(each).result()
                (code,) = list(scheduler.computations)[-1].code
                found.append([line.filename for line in code])
            return found

        calls: list[Callable[[Any], Any]] = [
            lambda c: c.submit(increment, 1, key=f"x-{c.id}"),
            lambda c: c.map(increment, [1], key=[f"y-{c.id}"])[0],
            lambda c: c.compute(delayed(increment)(1, dask_key_name=f"z-{c.id}")),
        ]
        for call in calls:
            ours, theirs = frames(call)
            assert ours == theirs
            assert any(name == __file__ for name in ours)
        with dask.config.set({"distributed.diagnostics.computations.ignore-modules": ["dask"]}):
            ours, theirs = frames(lambda c: c.submit(increment, 2, key=f"u-{c.id}"))
            assert ours == theirs


def test_clients_are_named_as_dask_names_them(client, plain_client) -> None:
    """What the scheduler calls a client begins as the name of dask's own, a chosen name included."""
    assert client.id.startswith("Client-")
    assert client.id in client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.clients))
    with (
        dask.config.set({"client-name": "plots"}),
        Client(client.scheduler.address, set_as_default=False) as named,
        DiracClient(client.scheduler.address, cache=False, set_as_default=False) as ours,
    ):
        assert named.id.startswith("Client-plots-")
        assert ours.id.startswith("Client-plots-")


def test_size_of_an_unread_hit(make_client) -> None:
    """The size of a future's result is about the same whether it ran or is a hit that nobody has read."""
    cold = make_client()
    ran = cold.submit(bytes, 100_000, key="big")
    wait(ran)
    size = cold.nbytes(summary=False)["big"]
    cold.close()
    warm = make_client()
    future = warm.submit(bytes, 100_000, key="big")
    wait(future)
    assert size * 0.5 < warm.nbytes(summary=False)["big"] < size * 2
    assert size * 0.5 < warm.nbytes()["big"] < size * 2
    assert size * 0.5 < warm.nbytes(keys=["big"], summary=False)["big"] < size * 2


def test_a_closed_client_leaves_no_thread(make_client) -> None:
    """A service may open a client for each request: what a client started ends with it."""
    before = set(threading.enumerate())
    client = make_client()
    assert client.submit(increment, 1).result() == 2
    client.flush()
    assert any(thread.name == "cachingclient-links" for thread in set(threading.enumerate()) - before)
    client.close()
    until(lambda: not any(each.name == "cachingclient-links" for each in set(threading.enumerate()) - before))


def test_connects_while_a_worker_does_not_answer(store_url) -> None:
    """A worker that is stopped keeps no client from connecting, nor from computing on the others."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        with Client(cluster, set_as_default=False) as plain:
            pids = plain.run(os.getpid)
        (_, stopped), (running, _) = sorted(pids.items())
        os.kill(stopped, signal.SIGSTOP)
        try:
            client = DiracClient(cluster.scheduler_address, cache=store_url, policy="all", timeout=10)
            assert client.submit(increment, 1, workers=[running]).result() == 2
        finally:
            os.kill(stopped, signal.SIGCONT)
        client.close()


def fails(x: int, unit: str = "GeV") -> float:
    return divides(x, 0)


def divides(x: int, y: int) -> float:
    return x / y


def first_line_of(log: str, what: str) -> str:
    return next(line for line in log.splitlines() if line.startswith(what)).removeprefix(what).strip()


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
@pytest.mark.parametrize(
    "sent",
    [
        lambda client: client.submit(fails, 1, unit="MeV", key="one"),
        lambda client: client.map(fails, [1], key="mapped")[0],
        lambda client: client.compute(
            delayed(fails)(delayed(increment)(1, dask_key_name="early"), dask_key_name="late")
        ),
        lambda client: client.submit(fails, client.submit(increment, 1), key="after"),
        lambda client: client.submit(fails, 1, pure=False, key="impure"),
    ],
    ids=["submit", "map", "delayed", "chain", "not pure"],
)
def test_errors_are_the_users(own_cluster, store_url, caplog, sent: Callable[[Any], Any]) -> None:
    """A traceback begins with the user's function, and the worker's log names key, function and arguments."""
    told = []
    for client in (
        Client(own_cluster, set_as_default=False),
        DiracClient(own_cluster, cache=store_url, policy="all", set_as_default=False),
    ):
        with client, client.as_current():
            caplog.clear()
            future = sent(client)
            with pytest.raises(ZeroDivisionError) as raised:
                future.result()
            frames = [frame.name for frame in traceback.extract_tb(future.traceback())]
            seen = [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
            log = next(record.getMessage() for record in caplog.records if "Compute Failed" in record.getMessage())
            told.append((frames, seen, first_line_of(log, "Task:"), first_line_of(log, "Traceback:")))
            del future
        until(lambda: not own_cluster.scheduler.tasks)
    plain, ours = told
    assert ours == plain
    assert plain[0] == ["fails", "divides"]


def test_errors_of_steps_within_steps_are_the_users(client) -> None:
    """Between a step and one that it calls stands nothing of ours."""
    within = step(fails)

    def around(x: int) -> float:
        return within(x)

    future = client.submit(around, 1)
    with pytest.raises(ZeroDivisionError):
        future.result()
    assert [frame.name for frame in traceback.extract_tb(future.traceback())] == ["around", "fails", "divides"]
