"""Workers of several kinds in a packed environment: it is sent once to a host, and looked at before the first task."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Nanny

from cachingclient.environments import Environment
from cachingclient.environments import environment as module
from cachingclient.vine import VineCluster
from cachingclient.vine.engine import EngineLost
from cachingclient.vine.launch.entering import Entering, in_job_script
from tests.environments.made import linked_archive
from tests.support.waiting import until
from tests.vine.pools import place_for

pytestmark = pytest.mark.services


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(packed=str(linked_archive(tmp_path)))


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where environments are kept."""
    monkeypatch.setenv("CACHINGCLIENT_ENVIRONMENTS", str(tmp_path / "kept"))
    return tmp_path / "kept"


def prefix() -> str:
    return sys.prefix


@pytest.mark.parametrize("joined", ["\n", "; "])
def test_the_lines_of_a_jobs_script_enter_it(environment: Environment, kept: Path, tmp_path: Path, joined: str) -> None:
    """As Slurm's scripts have them, and as HTCondor's, which are one line; nothing stays in the temporary folder."""
    lines, python = in_job_script(environment)
    script = joined.join([*lines, f"{python} -c 'import sys; print(sys.prefix)'"])
    (tmp_path / "temporary").mkdir()
    variables = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=variables)
    assert done.stdout.strip() == str(kept / environment.archive_digest), done.stderr
    assert list((tmp_path / "temporary").iterdir()) == []


def test_it_is_sent_once(environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the command that starts the first worker of a host; others find it, in the folder that the site names."""
    kept = tmp_path / "kept"
    sent, send = [], Entering._send_archive

    async def counted(self: Entering, stdin: asyncio.StreamWriter) -> None:
        sent.append(self)
        await send(self, stdin)

    monkeypatch.setattr(Entering, "_send_archive", counted)
    command = {"how": "command", "workers": 2, "options": {"commands": [["env", "-u", "PYTHONPATH"]]}}
    described = {"RAL": {**command, "environment": {"CACHINGCLIENT_ENVIRONMENTS": str(kept), "HERE": "RAL's"}}}
    with (
        VineCluster(described, host="127.0.0.1", environment=environment) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.wait_for_workers(2)
        found = client.run(prefix)
        assert list(found.values()) == [str(kept / environment.archive_digest)] * 2
        assert set(client.run(os.getenv, "HERE").values()) == {"RAL's"}
    assert sorted(path.name for path in kept.iterdir()) == [".lock", environment.archive_digest]
    assert len(sent) == 1


def test_a_worker_whose_versions_differ_is_refused(
    environment: Environment, kept: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before its first task, with both versions: by what starts it, or in the error of the tasks that wait."""
    versions = module.expected().replace("dask=", "dask=9")
    monkeypatch.setattr(module, "expected", lambda beside=(): versions)
    with pytest.raises(RuntimeError, match=r"the environment has dask \S+, where the cluster has 9\S+: pack it again"):
        VineCluster({"RAL": 1}, environment=environment)
    with (
        place_for("workqueue", tmp_path / "place"),
        VineCluster({"RAL": 1}, engine="workqueue", environment=environment) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        workers = cluster.engine._workers["RAL"]
        until(lambda: workers.trouble() is not None, "the site is given up")
        with pytest.raises(EngineLost, match="where the cluster has 9"):
            client.submit(pow, 2, 3, resources={"site:RAL": 1}).result()


def test_an_archive_that_changed_is_refused(environment: Environment, tmp_path: Path) -> None:
    """Its digest is looked at before anything is unpacked."""
    other = tmp_path / "other.tar.gz"
    other.write_bytes(Path(environment.place).read_bytes()[:-1000] + bytes(1000))
    damaged = Environment(packed=str(other), digest=environment.archive_digest)
    described = {"RAL": {"environment": {"CACHINGCLIENT_ENVIRONMENTS": str(tmp_path / "kept")}}}
    with pytest.raises(RuntimeError, match=f"has the digest .*; it takes {environment.archive_digest}"):
        VineCluster(described, environment=damaged)
    assert not (tmp_path / "kept" / environment.archive_digest).exists()


@pytest.mark.parametrize(
    ("sites", "environment", "error", "said"),
    [
        ({"RAL": 1}, {"HERE": "1"}, TypeError, "it takes an Environment, such as Environment.auto()"),
        ({"RAL": 1}, Environment(), ValueError, "site RAL takes a packed one, such as Environment.auto() makes"),
        ({"RAL": {"how": Nanny}}, Environment(packed=__file__), ValueError, "starts workers by a class"),
        (
            {"RAL": {"how": "ssh", "options": {"python": "python3.11"}}},
            Environment(packed=__file__),
            ValueError,
            "site RAL has the option python, and the cluster an environment",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(sites: Any, environment: Any, error: type[Exception], said: str) -> None:
    """Before anything starts."""
    with pytest.raises(error, match=re.escape(said)):
        VineCluster(sites, environment=environment)
