"""Many tasks through an engine, and what is left of them: ``python -m tests.vine.leaks workqueue --tasks 10000``."""

from __future__ import annotations

import argparse
import time
from typing import Any

import psutil
from distributed import Client

from cachingclient.vine import VineCluster
from tests.support.waiting import until
from tests.vine.pools import ENGINES, numbers, run_here, square

BATCH = 500
LARGE = 5_000
"""Numbers in a result that is too large to travel with its record: 40 kB."""


def held_by(cluster: VineCluster) -> int:
    """How many results there still are, at the scheduler, in proxies and in the pool."""
    engine: Any = cluster.engine
    held = len(cluster.scheduler.tasks)
    if not engine.proxied:
        return held + len(engine._held)
    return held + len(engine._inline) + len(engine._futures) + int(engine.describe()["values"])


def memory_of(processes: list[psutil.Process]) -> float:
    """The megabytes that processes have for themselves."""
    return sum(process.memory_info().rss for process in processes) / 1e6


def main(engine: str, tasks: int) -> None:
    """Run batches of tasks, half of them with large results, and print what grows."""
    own = psutil.Process()
    with (
        VineCluster({"RAL": 1, "Bristol": 1}, engine=engine) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.wait_for_workers(2)
        seconds = 0.0
        for number in range(0, tasks, BATCH):
            start = time.monotonic()
            large = client.map(numbers, [LARGE] * (BATCH // 2), range(number, number + BATCH // 2), pure=False)
            small = client.map(len, large, pure=False)
            assert client.gather(small) == [LARGE] * len(small)
            seconds += time.monotonic() - start
            del large, small
            until(lambda: not held_by(cluster), "everything is let go of")
            if number in (BATCH, tasks - BATCH):
                children = own.children(recursive=True)
                done = number + BATCH
                print(
                    f"{engine}: {done} tasks, {done / seconds:.0f} a second; processes {len(children)}, "
                    f"memory here {memory_of([own]):.0f} MB, theirs {memory_of(children):.0f} MB",
                    flush=True,
                )
        assert client.submit(square, 3).result() == 9
    until(
        lambda: not [each for each in own.children(recursive=True) if "cachingclient" in str(each.cmdline())], "the end"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--tasks", type=int, default=10_000)
    options = parser.parse_args()
    run_here(main, options.engine, options.tasks)
