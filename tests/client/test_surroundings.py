"""Environment variables and working folders are the workers': the client's own make no hit stale, and none a miss."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

from cachingclient import DiracClient
from tests.support.reported import counts

VARIABLE = "ANA_SURROUNDINGS"


def era(x: int) -> tuple[int, str]:
    return x, os.environ.get(VARIABLE, "unset")


def lines(name: str) -> str:
    return Path(name).read_text()


def copied(x: int) -> tuple[int, str]:
    return x, os.environ.copy()[VARIABLE]


def after(value: Any) -> Any:
    return "after", value


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Workers in folders of their own, with a variable of their own; returns a way to open a client on them."""
    for name in ("client", "one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "table.txt").write_text(f"of {name}")
    monkeypatch.chdir(tmp_path / "client")
    monkeypatch.setenv(VARIABLE, "the client's")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:

        def open_client(*states: tuple[str, str]) -> DiracClient:
            with Client(cluster, set_as_default=False) as plain:
                workers = sorted(plain.scheduler_info(n_workers=-1)["workers"])
                for worker, (folder, value) in zip(workers, states or [("one", "2017")] * 2, strict=True):
                    plain.run(move, str(tmp_path / folder), value, workers=[worker])
            return DiracClient(cluster, cache=(tmp_path / "cache").as_uri(), policy="all")

        yield open_client


def move(folder: str, value: str) -> None:
    os.chdir(folder)
    os.environ[VARIABLE] = value


def test_another_variable_on_the_client_is_no_miss(connect: Callable[..., DiracClient]) -> None:
    """A step that reads a variable is loaded while the workers' value is as it was, and runs when it changes."""
    with connect() as client:
        assert client.submit(after, client.submit(era, 1)).result() == ("after", (1, "2017"))
        client.flush()
    with connect() as client:
        assert client.submit(era, 1).result() == (1, "2017")
        assert counts(client) == (0, 1, 0)
    with connect(("one", "2018"), ("one", "2018")) as client:
        assert client.submit(after, client.submit(era, 1)).result() == ("after", (1, "2018"))
        client.flush()
    for value in ("2017", "2018"):
        with connect(("one", value), ("one", value)) as client:
            assert client.submit(era, 1).result() == (1, value)
            assert counts(client) == (0, 1, 0), "both are kept beside each other"


def test_a_copy_of_all_variables_has_those_of_dask_that_tell_of_a_process(connect: Callable[..., DiracClient]) -> None:
    """The id of the process that started a worker is another in each session, and counts for nothing; the rest does."""
    for value, pid, expected in (("2017", "71", (1, 0)), ("2017", "72", (0, 1)), ("2018", "72", (1, 0))):
        with connect(("one", value), ("one", value)) as client:
            client.run(os.environ.update, {"__DASK_PARENT_PID": pid})
            assert client.submit(copied, 1).result() == (1, value)
            client.flush()
            assert counts(client)[:2] == expected


def test_relative_paths_are_the_workers(connect: Callable[..., DiracClient]) -> None:
    """A relative path leads where the workers are: no stale table, and no miss for the client's own folder."""
    for folder, expected in (("one", (1, 0)), ("two", (1, 0)), ("one", (0, 1)), ("two", (0, 1))):
        with connect((folder, "2017"), (folder, "2017")) as client:
            assert client.submit(lines, "table.txt").result() == f"of {folder}"
            client.flush()
            assert counts(client)[:2] == expected


def test_workers_that_disagree(connect: Callable[..., DiracClient]) -> None:
    """Where workers have different values, each result is that of the worker which gives it."""
    with connect() as client:
        workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
        client.submit(era, 1).result()
        client.flush()
    with connect(("one", "2017"), ("one", "2018")) as client:
        for worker, value in zip(workers, ("2017", "2018"), strict=True):
            future = client.submit(era, 1, key=f"era-{value}", workers=[worker])
            assert future.result() == (1, value)


def test_a_variable_changed_behind_the_clients_back(connect: Callable[..., DiracClient], tmp_path: Path) -> None:
    """What a worker told when the client connected may change: the worker compares again before it loads."""
    with connect() as client:
        client.submit(era, 1).result()
        client.flush()
    with connect() as client:
        client.run(move, str(tmp_path / "one"), "2018")
        assert client.submit(era, 1).result() == (1, "2018")
