"""Workers and clients that are killed with SIGKILL in each phase of a write: what is left is right and whole."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import random
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

import numpy as np
from distributed import LocalCluster, Worker

from cachingclient import DiracClient, open_store
from cachingclient.storage import Store
from tests.faults.traps import TRAPS, Trap, remove_traps, set_trap

STEPS = 8  # in a graph
GRAPHS = 3  # of a client
PATIENCE = 120.0
FORKSERVER = multiprocessing.get_context("forkserver")  # which has no threads of ours, and has imported all of this
FORKSERVER.set_forkserver_preload(["tests.faults.kills"])


def measure(number: int) -> np.ndarray:
    """The result of a step: every second one is large enough for a blob."""
    return np.random.default_rng(number).random(20_000 if number % 2 else 10)


def is_right(number: int, value: Any) -> bool:
    """Whether this is the result for a number."""
    return isinstance(value, np.ndarray) and np.array_equal(value, measure(number))


def step_keys(client: DiracClient, numbers: list[int]) -> tuple[list[Any], dict[str, int]]:
    """The futures of some steps that were sent, and which number belongs to which step key."""
    futures = client.map(measure, numbers)
    keys = {key: n for future, n in zip(futures, numbers, strict=True) if (key := client.step_key_of(future.key))}
    return futures, keys


def kept(client: DiracClient) -> list[str]:
    """The step keys of what the last graph's report says is kept."""
    client.flush()
    report = client.reports[-1]
    return [str(report.plan.steps[record.key].step_key) for record in report.records if record.kept]


class Judge:
    """Looks at a store after each kill."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.told = 0
        self.kills: Counter[str] = Counter()
        self._all: dict[str, int] = {}

    def judge(self, numbers: dict[str, int], told: set[str]) -> None:
        """What was told of is there, and what is there is right."""
        self.store.refresh()
        found = self.store.find(numbers)
        assert told <= found.keys(), f"{len(told - found.keys())} of {len(told)} results reported kept are gone"
        for key, info in found.items():
            assert is_right(numbers[key], self.store.read(info)), f"{key} is wrong"
        self.told += len(told)
        self._all.update(dict.fromkeys(told, 0) | {key: numbers[key] for key in told})

    def judge_all(self) -> None:
        """Everything that was ever told of is still there."""
        found = self.store.find(self._all)
        assert self._all.keys() == found.keys()
        assert all(is_right(self._all[key], self.store.read(info)) for key, info in found.items())


# ---- clients ----


def be_a_client(
    url: str,
    options: dict[str, Any],
    trap: Trap,
    call: int,
    first: int,
    channel: Connection,
    environment: dict[str, str],
) -> None:
    """Run graphs, and tell what they are made of and what was kept of them, until the trap is met."""
    warnings.simplefilter("ignore")
    os.environ.update(environment)  # the process that forked us may be older than it
    with DiracClient(
        cache=open_store(url, **options), policy="all", processes=False, n_workers=1, dashboard_address=None
    ) as client:
        set_trap(trap, call)
        for graph in range(GRAPHS):
            numbers = list(range(first + graph * STEPS, first + (graph + 1) * STEPS))
            futures, keys = step_keys(client, numbers)
            channel.send(("sent", keys))
            client.gather(futures)
            channel.send(("kept", kept(client)))
        remove_traps()


def kill_client(url: str, options: dict[str, Any], trap: Trap, call: int, first: int, judge: Judge) -> bool:
    """Let a client meet a trap, and judge what it leaves; False if it never got there."""
    reader, writer = FORKSERVER.Pipe(duplex=False)
    process = FORKSERVER.Process(target=be_a_client, args=(url, options, trap, call, first, writer, dict(os.environ)))
    process.start()
    writer.close()
    numbers: dict[str, int] = {}
    told: set[str] = set()
    try:
        while reader.poll(PATIENCE):
            sort, what = reader.recv()
            if sort == "sent":
                numbers.update(what)
            else:
                told.update(what)
    except EOFError:
        process.join()
    else:
        process.kill()
        raise TimeoutError(f"a client that was to die {trap.phase} hangs")
    judge.judge(numbers, told)
    assert process.exitcode in (0, -9), f"a client ended with {process.exitcode}"
    return process.exitcode == -9


# ---- workers ----


def be_a_worker(scheduler: str, channel: Connection, environment: dict[str, str]) -> None:
    """Run tasks until killed."""
    os.environ.update(environment)

    async def run() -> None:
        async with Worker(scheduler, nthreads=1, dashboard=False) as worker:
            channel.send(worker.address)
            await worker.finished()

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    asyncio.run(run())


class Workers:
    """Two worker processes of a scheduler; the dead are replaced."""

    def __init__(self, scheduler: str) -> None:
        self.scheduler = scheduler
        self.processes: dict[str, Any] = {}  # by address

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.kill()
            process.join()

    def victim(self) -> str:
        """See that there are two, and choose the older one."""
        self.processes = {address: process for address, process in self.processes.items() if process.is_alive()}
        while len(self.processes) < 2:
            reader, writer = FORKSERVER.Pipe(duplex=False)
            process = FORKSERVER.Process(target=be_a_worker, args=(self.scheduler, writer, dict(os.environ)))
            process.start()
            if not reader.poll(PATIENCE):
                raise TimeoutError("a worker does not start")
            self.processes[reader.recv()] = process
        return next(iter(self.processes))


def kill_worker(client: DiracClient, workers: Workers, trap: Trap, call: int, first: int, judge: Judge) -> bool:
    """Let one of a client's workers meet a trap; the analysis goes on, is right, and its report can be believed."""
    victim = workers.victim()
    client.run(set_trap, trap, call, workers=[victim])
    numbers = list(range(first, first + 2 * STEPS))
    futures, keys = step_keys(client, numbers)
    values = client.gather(futures)
    assert all(is_right(number, value) for number, value in zip(numbers, values, strict=True))
    judge.judge(keys, set(kept(client)))
    if workers.processes[victim].is_alive():
        client.run(remove_traps, workers=[victim], on_error="ignore")
    return not workers.processes[victim].is_alive()


# ---- all ----


@contextmanager
def served(kind: str, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """A URL with its options, with a server behind it where it takes one."""
    if kind == "file":
        yield (folder / "cache").as_uri(), {}
    elif kind == "s3":
        from tests.services.s3 import best_available

        with best_available(folder / "s3") as server:
            server.make_bucket("kills")
            yield "s3://kills/cache", server.options
    elif kind == "root":
        from tests.services.xrootd import XRootD

        with XRootD(folder / "xrootd") as xrootd:
            yield f"{xrootd.url}/cache", {}
    else:
        from tests.services.rucio import Rucio

        with Rucio(folder / "rucio") as rucio, rucio.configured():
            yield rucio.url("kills"), {"local": str(folder / "writers")}


def kill_clients(url: str, options: dict[str, Any], traps: list[Trap], count: int, judge: Judge) -> None:
    """So many clients, one phase after another."""
    chance, first = random.Random(1), 0
    for number in range(count):
        trap = traps[number % len(traps)]
        # The first calls are sure to come; a late one finds something reported before.
        for call in (chance.randrange(1, 2 * STEPS), 1):
            first += GRAPHS * STEPS
            if kill_client(url, options, trap, call, first, judge):
                judge.kills[f"client {trap.phase}"] += 1
                break
        else:
            raise AssertionError(f"no client got so far as {trap.phase}")


def kill_workers(url: str, options: dict[str, Any], traps: list[Trap], count: int, judge: Judge) -> None:
    """So many workers of one client, one phase after another."""
    chance, first = random.Random(2), 10**6
    with (
        LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=50) as cluster,
        Workers(cluster.scheduler_address) as workers,
        DiracClient(cluster, cache=open_store(url, **options), policy="all") as client,
    ):
        killed = 0
        while killed < count:
            trap = traps[killed % len(traps)]
            first += 2 * STEPS
            if kill_worker(client, workers, trap, chance.randrange(1, 4), first, judge):
                judge.kills[f"worker {trap.phase}"] += 1
                killed += 1


def kill(kind: str, clients: int, workers: int) -> Judge:
    """Kill so many clients and workers that write to a store of this kind; what is left is judged after each."""
    with tempfile.TemporaryDirectory(prefix="cachingclient-kills-") as name:
        Path(name).chmod(0o711)  # servers run as users of their own
        with served(kind, Path(name)) as (url, options):
            judge = Judge(open_store(url, **options | ({"local": f"{name}/judge"} if "local" in options else {})))
            kill_clients(url, options, TRAPS[kind], clients, judge)
            if workers:
                kill_workers(url, options, TRAPS[kind], workers, judge)
            judge.judge_all()
    return judge
