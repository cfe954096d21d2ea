"""What the page on workers at several sites says of options, tasks and the log, and that no other test runs."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import dask
from distributed import Client, get_client, get_worker, worker_client

from cachingclient import DiracClient
from cachingclient.vine import VineCluster
from tests.support.waiting import until

PAGE = (Path(__file__).parents[2] / "docs" / "vine.md").read_text()


def square(x: int) -> int:
    return x**2


def colour_here() -> str | None:
    return os.environ.get("SITE_COLOUR")


class Counter:
    """An actor."""

    def __init__(self) -> None:
        self.seen = 0

    def add(self, number: int) -> int:
        self.seen += number
        return self.seen


def squares_from_within(numbers: list[int]) -> list[int]:
    with worker_client() as client:
        return client.gather(client.map(square, numbers))


def meets(mine: Path, other: Path, waits_for: Path) -> bool:
    """Whether another task begins before this one may end."""
    mine.touch()
    until(waits_for.exists, f"{waits_for.name} is made")
    return other.exists()


def test_a_sites_options_are_what_its_workers_have() -> None:
    """Those of the table, but for the ways of starting them, and stores near them."""
    options = {
        "workers": 2,
        "nthreads": 3,
        "memory_limit": "1 GB",
        "gpus": 2,
        "resources": {"licence": 1},
        "environment": {"SITE_COLOUR": "blue"},
        "options": {"death_timeout": 77},
    }
    with VineCluster({"RAL": options, "Bristol": 1}) as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(3)
        workers = cluster.scheduler_info["workers"].items()
        there = {address: each for address, each in workers if str(each["name"]).startswith("RAL")}
        assert [(each["nthreads"], each["memory_limit"]) for each in there.values()] == [(3, 10**9)] * 2
        told = [each["resources"] for each in there.values()]
        assert told == [{"site:RAL": 3, "cores": 3, "gpus": 2, "memory": 10**9, "licence": 1}] * 2
        found = client.run(colour_here)
        assert {found[address] for address in there} == {"blue"}
        assert [value for address, value in found.items() if address not in there] == [None]


def test_a_task_that_says_nothing_has_one_thread(tmp_path: Path) -> None:
    """Two of these run at once on a worker of two threads; of those that need both, one after the other."""
    with (
        VineCluster({"RAL": {"workers": 1, "nthreads": 2}}) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        for needs in (None, {"cores": 2}):
            folder = tmp_path / str(needs)
            folder.mkdir()
            one, other, gate = (folder / name for name in ("one", "other", "gate"))
            with dask.annotate(**({} if needs is None else {"needs": needs})):
                made = [
                    client.submit(meets, one, other, other if needs is None else gate, pure=False),
                    client.submit(meets, other, one, one if needs is None else gate, pure=False),
                ]
            if needs is not None:
                until(lambda: one.exists() or other.exists(), "the first has begun")  # noqa: B023
                client.submit(square, 3).result()
                gate.touch()
            assert sum(client.gather(made)) == (2 if needs is None else 1)


def test_everything_of_dasks_works() -> None:
    """With the default engine, as the page on engines says: actors, the worker, clients in tasks, the logs."""
    with VineCluster({"RAL": 1, "Bristol": 1}) as cluster, DiracClient(cluster, cache=False) as client:
        counter = client.submit(Counter, actor=True).result()
        assert [counter.add(number).result() for number in (2, 3)] == [2, 5]
        assert client.submit(lambda: get_worker().name.partition("-")[0], pure=False).result() in ("RAL", "Bristol")
        assert client.submit(squares_from_within, [1, 2, 3]).result() == [1, 4, 9]
        assert client.submit(lambda: get_client().submit(square, 4).result(), pure=False).result() == 16
        logs = cluster.get_logs()
        assert {"Cluster", "Scheduler"} | set(cluster.scheduler_info["workers"]) == logs.keys()


def test_the_log_has_what_its_table_says(tmp_path: Path) -> None:
    """Each event with the fields of its row and no others, and the states that are named there."""
    table = PAGE.partition("| event | with |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE))
    log = tmp_path / "run.log"
    with VineCluster({"RAL": 1, "Bristol": 1}, log=log) as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2)
        with dask.annotate(site="RAL"):
            made = client.submit(bytes, 1_000_000, pure=False)
        with dask.annotate(site="Bristol"):
            assert client.submit(len, made).result() == 1_000_000
            client.submit(divmod, 1, 0, pure=False).exception()
        until(lambda: '"transfer"' in log.read_text(), "the transfer is written down")
    events: list[dict[str, Any]] = [json.loads(line) for line in log.read_text().splitlines()]
    assert {each["event"] for each in events} == rows.keys()
    for each in events:
        said = set(re.findall(r"`([\w-]+)`", rows[each["event"]]))
        assert said >= each.keys() - {"time", "event"}
        assert each.get("state", "started") in said | {"started"}
        assert each.get("before", "waiting") in said | {"waiting"}
    crossed = [(each["source"], each["site"]) for each in events if each["event"] == "transfer"]
    assert ("RAL", "Bristol") in crossed
