"""Runs on an engine while workers are killed: ``python -m tests.vine.kills workqueue --runs 20``."""

from __future__ import annotations

import argparse
import contextlib
import random
import threading
import time

from distributed import Client

from cachingclient.vine import VineCluster
from tests.vine.pools import ENGINES, kill_worker, run_here, slowly, workers_of

TASKS = 24


def run_with_kills(engine: str, seed: int, kills: int = 2) -> tuple[float, int]:
    """Return the result of a run of a known result, and how many workers were killed meanwhile."""
    draw = random.Random(seed)
    killed = 0
    with (
        VineCluster({"RAL": 2, "Bristol": 1}, engine=engine) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        over = threading.Event()

        def kill() -> None:
            nonlocal killed
            while killed < kills and not over.wait(draw.uniform(0.2, 1.2)):
                site = draw.choice([name for name, workers in workers_of(cluster).items() if workers] or ["RAL"])
                with contextlib.suppress(OSError, IndexError):
                    kill_worker(cluster, site, draw.randrange(len(workers_of(cluster)[site])))
                    killed += 1

        client.wait_for_workers(1)
        first = client.map(slowly, range(TASKS), seconds=0.1, pure=False)
        second = client.map(slowly, first, seconds=0.1, pure=False)
        result = client.submit(sum, second, pure=False)
        killer = threading.Thread(target=kill)
        killer.start()
        try:
            return result.result(timeout=300), killed
        finally:
            over.set()
            killer.join()


def expected() -> float:
    """What every run has to give."""
    return sum(x + 2 for x in range(TASKS))


def main(engine: str, runs: int, seed: int) -> None:
    """Print how many runs were right."""
    right = 0
    total = 0
    start = time.monotonic()
    for number in range(runs):
        result, killed = run_with_kills(engine, seed + number)
        right += result == expected()
        total += killed
    seconds = time.monotonic() - start
    print(f"{engine}: {right} of {runs} runs right, {total} workers killed, {seconds:.0f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    run_here(main, options.engine, options.runs, options.seed)
