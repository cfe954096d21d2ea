"""Many clients on one store for a long time: edits, prunes, kills and renames, and no result that is wrong.

::

    python -m tests.faults.soak --minutes 30               # on a local folder
    python -m tests.faults.soak --minutes 30 --store s3     # on a server that is started for it

Each client is a process of its own with its own workers, or shares those of others; it computes graphs of steps that it
edits meanwhile, and looks whether each result is right. Others prune the store, kill clients in the middle, and rename
the folder of the local store under them. In the end every entry that is there must be sound.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
from distributed import LocalCluster

from cachingclient import DiracClient
from cachingclient.storage import StoreError, open_store, prune, verify
from tests.faults.kills import served

CLIENTS, SHARED = 8, 3
"""How many clients there are, and how many of them share one scheduler's workers."""
VERSIONS, CHAIN, WIDTH = 7, 4, 6


def program(version: int) -> Any:
    """Return a step as a user edits it: each version has another constant."""
    space: dict[str, Any] = {"np": np}
    exec(f"def step(value, number):\n    return np.asarray(value) * {version + 2} + number", space)
    return space["step"]


def expected(version: int, start: int) -> int:
    """Return what a chain of the steps gives."""
    value = start
    for number in range(CHAIN):
        value = value * (version + 2) + number
    return value


def client(store: str, scheduler: str, seconds: float, options: dict[str, Any]) -> None:
    """Compute graphs until the time is over, and print what came of each as a line of JSON."""
    warnings.simplefilter("ignore")
    chance, until = random.Random(os.urandom(8)), time.monotonic() + seconds
    with ExitStack() as stack:
        where = scheduler or stack.enter_context(
            LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None)
        )
        with DiracClient(where, cache=open_store(store, **options), policy="all") as session:
            while time.monotonic() < until:
                version, starts = chance.randrange(VERSIONS), [chance.randrange(40) for _ in range(WIDTH)]
                chains: list[Any] = [np.full(3000, start) for start in starts]
                for number in range(CHAIN):
                    chains = session.map(program(version), chains, [number] * WIDTH)
                told: Counter[str] = Counter(graphs=1)
                try:
                    values = session.gather(chains)
                except Exception as error:
                    told[f"{type(error).__name__}: {str(error)[:80]}"] += 1
                else:
                    right = [
                        int(value[0]) == expected(version, start) for value, start in zip(values, starts, strict=True)
                    ]
                    told["wrong"] = right.count(False)
                print(json.dumps(told), flush=True)
                del chains
            session.flush()
            summaries = [report.summary().total for report in session.reports]
            counts = {"loaded": sum(each.loaded for each in summaries), "ran": sum(each.ran for each in summaries)}
            print(json.dumps({**counts, "kept": sum(each.kept for each in summaries)}), flush=True)


def start(store: str, scheduler: str, seconds: float, options: dict[str, Any]) -> subprocess.Popen[str]:
    """Start a client in a process of its own."""
    command = [sys.executable, "-m", "tests.faults.soak", "--one", store, scheduler, str(seconds), json.dumps(options)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )


def end(one: subprocess.Popen[str], total: Counter[str]) -> None:
    """Take what a client printed."""
    out, _ = one.communicate(timeout=300)
    for line in out.splitlines():
        with suppress(ValueError):  # a client that was killed in the middle of it
            total.update(json.loads(line))


def soak(url: str, options: dict[str, Any], seconds: float) -> Counter[str]:
    """Have clients come and go until the time is over; return the counts."""
    total: Counter[str] = Counter()
    chance, until = random.Random(1), time.monotonic() + seconds
    folder = Path(url.removeprefix("file://")) if url.startswith("file://") else None
    store = open_store(url, **options)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        shared = cluster.scheduler_address
        clients: list[subprocess.Popen[str]] = []
        while time.monotonic() < until:
            for one in [one for one in clients if one.poll() is not None]:
                clients.remove(one)
                end(one, total)
            while len(clients) < CLIENTS:
                left = min(max(until - time.monotonic(), 5.0), chance.uniform(20, 60))
                there = shared if sum(bool(getattr(one, "shares", False)) for one in clients) < SHARED else ""
                clients.append(start(url, there, left, options))
                clients[-1].shares = bool(there)  # type: ignore[attr-defined]
            time.sleep(chance.uniform(0.5, 3))
            match chance.randrange(4):
                case 0:
                    one = chance.choice(clients)
                    with suppress(ProcessLookupError):
                        os.killpg(one.pid, signal.SIGKILL)
                    total["killed"] += 1
                case 1:
                    with suppress(StoreError):
                        prune(store, max_size=chance.choice((10**6, 10**8)))
                    total["prunes"] += 1
                case 2 if folder is not None and (folder / "v1").is_dir():
                    with suppress(OSError):
                        (folder / "v1").rename(folder / "away")
                        time.sleep(0.2)
                        if (folder / "v1").exists():  # made anew meanwhile
                            (folder / "away").rename(folder / f"gone-{total['renames']}")
                        else:
                            (folder / "away").rename(folder / "v1")
                    total["renames"] += 1
        for one in clients:
            end(one, total)
        total["handles"] = len(os.listdir("/proc/self/fd"))
    report = verify(store)
    total["entries"], total["not sound"] = report.entries, len(report.problems)
    return total


def main() -> None:
    """Soak, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--store", choices=["file", "s3"], default="file")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        client(*arguments.one[:2], float(arguments.one[2]), json.loads(arguments.one[3]))
        return
    with tempfile.TemporaryDirectory(prefix="cachingclient-soak-") as name:
        Path(name).chmod(0o711)  # servers run as users of their own
        with served(arguments.store, Path(name)) as (url, options):
            for what, count in sorted(soak(url, options, 60 * arguments.minutes).items()):
                print(f"{count:10,}  {what}")


if __name__ == "__main__":
    main()
