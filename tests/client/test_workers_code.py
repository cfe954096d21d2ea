"""Workers whose code is not the client's: what was kept of the client's is not what running would give there."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from dask import delayed
from distributed import LocalCluster, WorkerPlugin
from distributed.comm import CommClosedError

from cachingclient import DiracClient
from tests.support.reported import counts
from tests.support.waiting import until

MODULE = "workers_code_helper"
SOURCE = """
SCALE = {scale}

class Weight:
    def __call__(self, x):
        return x * {scale}

def weight(x):
    return x * SCALE

def apply(function, x):
    return function(x)
"""


def scale_by(scale: float) -> None:
    importlib.import_module(MODULE).SCALE = scale  # type: ignore[attr-defined]


def plus_one(x: float) -> float:
    return x + 1


class SetScale(WorkerPlugin):
    """Sets a variable of a module, as a campaign's settings are set on all workers."""

    def setup(self, worker: Any) -> None:
        """Set it to 3."""
        scale_by(3)


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module of the user's that client and workers import."""
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    edit(tmp_path, 2)
    yield importlib.import_module(MODULE)
    del sys.modules[MODULE]


def edit(folder: Path, scale: int) -> Path:
    """Write the module anew."""
    path = folder / "modules" / f"{MODULE}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(SOURCE.format(scale=scale))
    os.utime(path, (scale, scale))  # another time: Python would take its compiled file for that of the new text
    importlib.invalidate_caches()
    return path


@pytest.fixture
def client(tmp_path: Path, helper: ModuleType) -> Iterator[DiracClient]:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        with DiracClient(cluster, cache=(tmp_path / "cache").as_uri(), policy="all") as client:
            assert client.submit(helper.weight, 10).result() == 20
            assert client.submit(helper.apply, helper.Weight(), 10).result() == 20
            assert delayed(plus_one)(delayed(helper.weight)(10)).compute() == 21
            client.flush()
        with DiracClient(cluster, cache=(tmp_path / "cache").as_uri(), policy="all") as client:
            yield client


def test_a_variable_that_a_plugin_or_run_sets(client: DiracClient, helper: ModuleType) -> None:
    """What was kept before a variable was set on the workers is not loaded, nor what comes after it; and told."""
    client.register_plugin(SetScale())
    assert client.submit(helper.weight, 10).result() == 30
    assert "a worker has other code" in str(client.report)
    assert delayed(plus_one)(delayed(helper.weight)(10)).compute() == 31
    client.run(scale_by, 5)
    assert client.submit(helper.weight, 10, key="five").result() == 50
    client.run(scale_by, 2)
    assert client.submit(helper.weight, 10, key="two").result() == 20
    assert counts(client) == (0, 1, 0), "the workers have the client's code again"


def test_a_call_that_changes_nothing(client: DiracClient, helper: ModuleType) -> None:
    """Workers whose code is the client's load what was kept, whatever ran there."""
    client.run(os.getpid)
    assert client.submit(helper.weight, 10).result() == 20
    assert counts(client) == (0, 1, 0)
    assert client.submit(helper.apply, helper.Weight(), 10).result() == 20
    assert counts(client) == (0, 1, 0)


def test_workers_restarted_after_an_edit(client: DiracClient, helper: ModuleType, tmp_path: Path) -> None:
    """Restarted workers import what was edited, which runs as with dask's client though this one has the old module."""
    edit(tmp_path, 7)
    client.restart()
    assert client.submit(helper.weight, 10).result() == 70
    assert client.submit(helper.apply, helper.Weight(), 10).result() == 70, "code that comes with an argument"
    client.flush()
    importlib.reload(helper)
    assert client.submit(helper.weight, 10, key="reloaded").result() == 70
    edit(tmp_path, 2)
    importlib.reload(helper)
    client.restart()
    assert client.submit(helper.weight, 10, key="as before").result() == 20


def test_a_client_that_can_not_wait(client: DiracClient, helper: ModuleType, tmp_path: Path) -> None:
    """An asynchronous client can't ask the workers, and loads nothing of code that they may have other than it."""

    async def weigh() -> tuple[int, int]:
        cache = (tmp_path / "cache").as_uri()
        async with DiracClient(client.scheduler.address, cache=cache, policy="all", asynchronous=True) as other:
            before = await other.submit(helper.weight, 10)
            await other.run(scale_by, 4)
            return before, await other.submit(helper.weight, 10, key="after")

    assert asyncio.run(weigh()) == (20, 40)


def test_workers_that_are_not_back_yet(client: DiracClient, helper: ModuleType, tmp_path: Path) -> None:
    """Nobody can be asked right after a restart that is not waited for: what they will run is not guessed."""
    edit(tmp_path, 7)
    client.restart(wait_for_workers=False)
    assert client.submit(helper.weight, 10).result() == 70
    assert client.submit(helper.weight, 10, key="once more").result() == 70


def test_workers_that_come_after_an_edit(client: DiracClient, helper: ModuleType, tmp_path: Path) -> None:
    """Workers that come later import what is there by then, with no restart that this client hears of."""
    assert client.submit(helper.weight, 10, key="before").result() == 20
    assert counts(client) == (0, 1, 0)
    edit(tmp_path, 7)
    client.cluster.scale(0)
    until(lambda: not client.scheduler_info()["workers"])
    client.cluster.scale(1)
    client.wait_for_workers(1)
    assert client.submit(helper.weight, 10, key="after").result() == 70
    assert "a worker has other code" in str(client.report)
    importlib.reload(helper)
    assert client.submit(helper.weight, 10, key="reloaded").result() == 70
    assert counts(client) == (1, 0, 1), "the client has the workers' code, and what it gives is kept"


def test_a_worker_that_is_gone_before_it_answers(
    client: DiracClient, helper: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one that was killed can't say is not held against the others' code for the rest of the session."""
    assert client._submission is not None
    port = client._submission.port
    client.run(os.getpid)
    with monkeypatch.context() as patched:
        patched.setattr(port, "ask_workers", lambda *_: {"tcp://127.0.0.1:9": CommClosedError("gone")})
        assert client.submit(helper.weight, 10).result() == 20
        assert "could not be asked" in str(client.report)
    assert client.submit(helper.weight, 10, key="next").result() == 20
    assert counts(client) == (0, 1, 0)
