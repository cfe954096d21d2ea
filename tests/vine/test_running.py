"""Clusters that outlive the session that used them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Security

from cachingclient.vine import VineCluster, call_back
from cachingclient.vine.discovery import clusters, folder, publish
from cachingclient.worker.credentials import write_private
from tests.services.service import free_port
from tests.support.waiting import until

HOLD = """
from cachingclient.vine import VineCluster

if __name__ == "__main__":
    with VineCluster({"RAL": 1}, name="ttbar") as cluster:
        cluster.sync(cluster.scheduler.finished)
"""
SESSION = """
import sys
from cachingclient import DiracClient
from cachingclient.vine import VineCluster

def fill(gate):
    import os, time
    while not os.path.exists(gate):
        time.sleep(0.05)
    return 91

if __name__ == "__main__":
    client = DiracClient(VineCluster.connect("ttbar"), cache=sys.argv[1], policy="all")
    future = client.submit(fill, sys.argv[2], key="z-peak")
    client.publish_dataset(z_peak=future)
    client.close()
"""


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))


def run(program: str, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    (folder / "program.py").write_text(program)
    path = os.pathsep.join(each for each in sys.path if each)
    return subprocess.Popen(
        [sys.executable, "program.py", *arguments], cwd=folder, env={**os.environ, "PYTHONPATH": path}
    )


@pytest.fixture
def held(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program that has a cluster until somebody shuts it down."""
    (tmp_path / "holder").mkdir()
    with run(HOLD, tmp_path / "holder") as holder:
        until(clusters, "the cluster is there")
        yield holder
        holder.kill()


def test_a_graph_outlives_its_session(held: subprocess.Popen[bytes], tmp_path: Path, store_url: str) -> None:
    """What one session left running is found by the next, another process, and by one that it has to call."""
    gate = tmp_path / "gate"
    (tmp_path / "session").mkdir()
    assert run(SESSION, tmp_path / "session", store_url, str(gate)).wait() == 0
    gate.touch()
    with Client(VineCluster.connect("ttbar"), set_as_default=False) as client:
        assert client.get_dataset("z_peak").result() == 91
    assert held.poll() is None
    called = VineCluster.connect(tunnel="127.0.0.1")
    assert called.scheduler_address != clusters()[0]["address"]
    assert {path.stat().st_mode & 0o777 for path in folder().rglob("*.json")} == {0o600}
    with Client(called, set_as_default=False) as client:
        assert client.submit(pow, 7, 2).result() == 49
        client.shutdown()
    assert held.wait(300) == 0
    assert clusters() == []
    assert not list(folder().rglob("*.json"))


def test_a_client_that_is_gone_is_called_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that was killed, nor where what should say where it waits makes no sense; others are."""
    monkeypatch.setattr(call_back, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(call_back, "PATIENCE", 0.5)
    told = {"relay": ["127.0.0.1", free_port()], "caller": "killed", "token": "x"}
    with VineCluster({"RAL": 0}, name="ttbar") as cluster:
        (waiting := folder() / "waiting" / "ttbar").mkdir(parents=True)
        for name, text in {"killed": json.dumps(told), "half": json.dumps(told)[:20], "other": "[]"}.items():
            write_private(waiting / f"{name}.json", text.encode())
        until(lambda: not list(waiting.iterdir()), "all three are given up")
        monkeypatch.setattr(call_back, "PATIENCE", 60)
        with Client(VineCluster.connect("ttbar", tunnel="127.0.0.1"), set_as_default=False) as client:
            assert client.scheduler_info()["id"] == cluster.scheduler_info["id"]


def test_a_tunnel_to_a_cluster_that_does_not_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the address where we waited; a cluster without TLS can't be asked for it."""
    monkeypatch.setattr(call_back, "PATIENCE", 0.1)
    publish("gone", "tls://node7:8786", Security.temporary())
    with pytest.raises(ConnectionError, match=r"cluster 'gone' did not call 127\.0\.0\.1:\d+ within"):
        VineCluster.connect("gone", tunnel="127.0.0.1")
    assert not list((folder() / "waiting" / "gone").iterdir())
    publish("clear", "tcp://node7:8786", Security())
    with pytest.raises(ValueError, match="cluster 'clear' has no TLS"):
        VineCluster.connect("clear", tunnel=True)


def test_a_name_that_none_has_is_an_error(tmp_path: Path) -> None:
    """It names those that there are; with several, one has to say which."""
    with pytest.raises(ValueError, match="name is 'ttbar'; it takes the name of a cluster, and none of yours runs"):
        VineCluster.connect("ttbar")
    with VineCluster({"RAL": 0}, name="one"), VineCluster({"RAL": 0}, name="two"):
        with pytest.raises(ValueError, match=r"name is 'ttbar'; .* those that run are 'one', 'two'"):
            VineCluster.connect("ttbar")
        with pytest.raises(ValueError, match="name is None"):
            VineCluster.connect()
        assert VineCluster.connect("two").name == "two"
        assert {path.stat().st_mode & 0o777 for path in folder().iterdir()} == {0o600}


def test_a_cluster_on_another_host_stays_listed(tmp_path: Path) -> None:
    """Whether its program runs can't be seen from here; that of one here which has ended is removed."""
    folder().mkdir(parents=True)
    told: dict[str, Any] = {"name": "far", "address": "tcp://node7:8786", "host": "node7", "pid": 1, "encrypted": False}

    (folder() / "far.json").write_text(json.dumps(told))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (folder() / "gone.json").write_text(
        json.dumps({**told, "name": "gone", "host": socket.gethostname(), "pid": gone.pid})
    )
    assert [each["name"] for each in clusters()] == ["far"]
    assert VineCluster.connect("far").scheduler_address == "tcp://node7:8786"
