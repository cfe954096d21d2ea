"""A plug-in of pytest that exchanges `distributed.Client` for a `DiracClient`, under the tests of dask's authors.

``pytest -p tests.upstream.plugin --client cold --store URL --outcomes FILE``: the client is dask's own (``plain``) or
ours on that store; what became of each test is written to the file, as JSON.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import random
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

SECONDS = 180
"""A test that takes longer has failed: upstream's own limit is 300."""
_outcomes: dict[str, str] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    parser.addoption("--client", choices=["plain", "cold", "warm"], default="plain")
    parser.addoption("--store", default="")
    parser.addoption("--outcomes", default="")
    parser.addoption("--served", action="store_true", help="compute with a client for dask's schedulers")
    parser.addoption("--quick", action="store_true", help="leave out the tests that start processes")
    parser.addoption("--slice", default="1/1", help="a part of the tests: 2/3 is each third from the second on")
    parser.addoption("--sample", default="", help="some of the tests, by chance: 50:seed")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Exchange the client before upstream's modules import it by name."""
    known = early_config.known_args_namespace
    if known.client != "plain":
        exchange(known.store)


def exchange(store: str) -> None:
    """Have everything that imports `distributed.Client` from now on get a `DiracClient` that keeps all results."""
    import distributed.client

    from cachingclient import DiracClient
    from cachingclient.forks.patience import MOST_IDLE, in_time
    from cachingclient.storage import Entry, encode, open_store
    from cachingclient.worker.process import process
    from cachingclient.worker.writer import Job

    # The writer's thread is the process's, and no test's leak.
    entry = Entry(("0f" * 16,), "result", "first", 0.0, {}, encode(0))
    process().writer.submit(Job(open_store("memory://upstream"), entry, False, lambda fact, note: None))
    # So are the helpers that wait for the next file: all at once, so that each has a thread of its own.
    all_there = threading.Barrier(MOST_IDLE)
    with ThreadPoolExecutor(MOST_IDLE) as pool:
        list(pool.map(lambda _: in_time(all_there.wait, SECONDS), range(MOST_IDLE)))

    class Client(DiracClient):  # type: ignore[misc,valid-type]
        def __init__(self, address: Any = None, *args: Any, **kwargs: Any) -> None:
            if args:  # dask takes its options by place too
                kwargs |= dict(zip(("loop", "timeout"), args, strict=False))
            super().__init__(address, cache=store, policy="all", **kwargs)

    distributed.Client = distributed.client.Client = Client


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not asked for."""
    if config.getoption("--quick"):
        items[:] = [item for item in items if "loop" not in getattr(item, "fixturenames", ())]
    if sample := config.getoption("--sample"):
        number, seed = sample.split(":")
        chosen = random.Random(seed).sample(range(len(items)), min(int(number), len(items)))
        items[:] = [items[place] for place in sorted(chosen)]
    first, step = map(int, config.getoption("--slice").split("/"))
    items[:] = items[first - 1 :: step]


@pytest.fixture(scope="session", autouse=True)
def served(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have a client that computes what the tests ask dask's schedulers of threads, or of none, for."""
    if not request.config.getoption("--served"):
        yield
        return
    import dask.base
    import distributed

    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name in ("sync", "synchronous", "single-threaded", "threads", "threading"):
            patch.setitem(dask.base.named_schedulers, name, client.get)
        yield


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let upstream's tests import from each other: packages get their folders of tests, which are not installed."""
    root = session.config.rootpath
    for folder in {tests.parent for tests in root.rglob("tests")} - {root}:
        with contextlib.suppress(ImportError):
            importlib.import_module(".".join(folder.relative_to(root).parts)).__path__.append(str(folder))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what became of a test: what failed in its fixtures failed."""
    if (report.when == "call" or report.outcome != "passed") and _outcomes.get(report.nodeid) != "failed":
        _outcomes[report.nodeid] = "xfailed" if hasattr(report, "wasxfail") else report.outcome


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    """Limit the time of a test."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"{item.name} took longer than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what became of the tests."""
    if session.config.getoption("--outcomes"):
        Path(session.config.getoption("--outcomes")).write_text(json.dumps(_outcomes))
