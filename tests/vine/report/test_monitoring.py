"""What a cluster tells while it runs and afterwards: the log of its transactions, the picture, the command line."""

from __future__ import annotations

import json
import os
import socket
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from distributed import Client, LocalCluster

from cachingclient.cli.main import cli
from cachingclient.vine import VineCluster
from cachingclient.vine.discovery import clusters, folder
from cachingclient.vine.report.plot import plot, read_log
from tests.vine.test_cluster import square

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters of other programs are not seen here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def sites(*arguments: str | Path) -> tuple[int, str]:
    """Run ``cachectl sites``; return its exit code and what it printed."""
    done = CliRunner().invoke(cli, ["sites", *map(str, arguments)])
    return done.exit_code, done.output


def test_the_log_tells_the_run_again(tmp_path: Path) -> None:
    """Replayed, it gives the counts that the cluster had, and a picture."""
    log = tmp_path / "run.log"
    with VineCluster({"RAL": 1, "Bristol": 1}, log=log) as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2)
        assert sum(client.gather(client.map(square, range(10)))) == 285
        told = cluster.status().to_dict()["sites"]
        assert cluster.plot(tmp_path / "run.png").read_bytes().startswith(PNG)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [events[0]["state"], events[-1]["state"]] == ["started", "closed"]
    assert Counter(event["state"] for event in events if event["event"] == "worker") == {"came": 2, "left": 2}
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    samples = read_log(log)
    rows = {row.name: row for row in samples[-1][1].rows}
    assert {name: row.stats.done for name, row in rows.items()} == {name: each["done"] for name, each in told.items()}
    assert all(row.threads == row.stats.running == row.stats.waiting == 0 for row in rows.values())
    assert max(sum(row.threads for row in table.rows) for _, table in samples) == 2
    status, text = sites("--log", log, "--plot", tmp_path / "log.png")
    assert status == 0
    assert text.splitlines()[0].split("\t")[:3] == ["site", "workers", "threads"]
    assert (tmp_path / "log.png").read_bytes().startswith(PNG)


def test_other_programs_find_the_cluster() -> None:
    """The command line asks the one cluster that runs here, or one by its name; its file is private, and goes."""
    with VineCluster({"RAL": 1}, name="mine") as cluster:
        cluster.wait_for_workers(1)
        (path,) = folder().iterdir()
        assert path.stat().st_mode & 0o777 == 0o600
        for arguments in ((), ("mine",), (cluster.scheduler_address,)):
            status, text = sites("--json", *arguments)
            assert (status, json.loads(text)["sites"]["RAL"]["workers"]) == (0, 1)
        with VineCluster({"Bristol": 0}, name="other"):
            status, text = sites()
            assert status == 2
            assert "which cluster? These run: mine" in text
    assert not list(folder().iterdir())
    assert sites() == (2, "Error: no cluster of yours runs here\n")


def test_files_of_clusters_that_died_are_forgotten() -> None:
    """A program that was killed leaves its file behind."""
    folder().mkdir(parents=True)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    (folder() / "dead.json").write_text(json.dumps({"pid": child, "name": "dead", "address": "tls://x"}))
    (folder() / "damaged.json").write_text("{")
    assert clusters() == []
    assert not list(folder().iterdir())


def test_a_cluster_without_sites_is_named(cluster: LocalCluster) -> None:
    """dask's own scheduler has no sites to show, and a wrong address is not waited for for ever."""
    status, text = sites(cluster.scheduler_address)
    assert status == 2
    assert "is not that of a VineCluster or DiracCluster" in text


def test_a_file_that_is_no_log_is_named(tmp_path: Path) -> None:
    """The text says which line is wrong; one that was being written when the cluster ended is left out."""
    log = tmp_path / "run.log"
    log.write_text('{"time": 1, "event": "cluster", "state": "started"}\n{"time": 2, "ev')
    assert len(read_log(log)) == 1
    log.write_text("hello\n")
    with pytest.raises(ValueError, match=r"line 1 of .* is none of a cluster's log"):
        read_log(log)
    log.write_text("")
    assert sites("--log", log)[0] == 2


def test_workers_of_a_short_run_are_seen(tmp_path: Path) -> None:
    """However short they stayed: a run may be over before the second sample is due."""
    log = tmp_path / "run.log"
    stays = [(1.0, "came"), (1.1, "came"), (1.2, "left"), (1.3, "left")]
    log.write_text(
        "".join(
            json.dumps({"time": time, "event": "worker", "state": state, "site": "RAL", "threads": 4}) + "\n"
            for time, state in stays
        )
    )
    assert [table.rows[0].threads for _, table in read_log(log)] == [4, 4, 8, 4, 0, 0]


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    """A picture needs at least one sample."""
    with pytest.raises(ValueError, match="nothing to draw"):
        plot([], tmp_path / "run.png")


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection, and that is all."""
    monkeypatch.setattr("cachingclient.cli.sites.PATIENCE", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        status, text = sites(address := f"tcp://127.0.0.1:{server.getsockname()[1]}")
    assert (status, text) == (2, f"Error: cluster {address} did not answer within 1 s\n")
