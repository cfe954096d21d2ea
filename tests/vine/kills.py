"""Runs on an engine while workers are killed: ``python -m tests.vine.kills workqueue --runs 20``."""

from __future__ import annotations

import argparse
import contextlib
import random
import time

from distributed import Client

from cachingclient.vine import VineCluster
from tests.support.waiting import until
from tests.vine.pools import ENGINES, kill_worker, run_here, slowly, workers_of

TASKS = 24


def run_with_kills(engine: str, seed: int, kills: int = 2) -> float:
    """Return the result of a run of a known result, some of whose workers are killed on the way."""
    draw = random.Random(seed)
    with (
        VineCluster({"RAL": 2, "Bristol": 1}, engine=engine) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.wait_for_workers(1)
        first = client.map(slowly, range(TASKS), seconds=0.1, pure=False)
        second = client.map(slowly, first, seconds=0.1, pure=False)
        for _ in range(kills):
            time.sleep(draw.uniform(0.2, 1.2))  # at any moment: what is done by then is lost with its worker
            kill_any_worker(cluster, draw)
        return float(client.submit(sum, second, pure=False).result(timeout=300))


def kill_any_worker(cluster: VineCluster, draw: random.Random) -> None:
    """Kill one of those that run now; some may end or be replaced while we look."""
    killed = False
    while not killed:
        until(lambda: any(workers_of(cluster).values()), "a worker to kill")
        with contextlib.suppress(OSError, IndexError):
            running = [(site, number) for site, each in workers_of(cluster).items() for number in range(len(each))]
            kill_worker(cluster, *draw.choice(running))
            killed = True


def expected() -> float:
    """What every run has to give."""
    return sum(x + 2 for x in range(TASKS))


def main(engine: str, runs: int, seed: int) -> None:
    """Print how many runs were right."""
    right = 0
    start = time.monotonic()
    for number in range(runs):
        right += run_with_kills(engine, seed + number) == expected()
    seconds = time.monotonic() - start
    print(f"{engine}: {right} of {runs} runs right with two workers killed in each, {seconds:.0f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    run_here(main, options.engine, options.runs, options.seed)
