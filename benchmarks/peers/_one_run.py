"""Runs of the analysis by one peer: each in a process of its own, with its cluster, forked before it is imported.

What dask and the peer need is imported once. An order is a line of JSON that comes in, what came of it one that goes
out. The results are compared with those of the same code called here, one function after another, without dask or a
cache.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from distributed import LocalCluster
from ways import IMPORTS, OF_COFFEA, WAYS, client_of, results

ANSWER = "answer: "
"""What the line of an answer begins with; peers print too."""


def listen(path: str) -> None:
    """Have this process write each step that runs into a file."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def hear(event: str, values: tuple[Any, ...]) -> None:
        if event == "analysis.ran":
            os.write(file, f"{values[0]}\n".encode())

    sys.addaudithook(hear)


def run(peer: str, data: Path, store: Path, marks: Path, check: bool) -> dict[str, Any]:
    """Run, and tell the steps that ran, what it took, and how many results are wrong or not there."""
    listen(str(marks))
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0") as cluster,
        client_of(peer, cluster, store),
    ):
        before, started, error = time.process_time(), time.perf_counter(), ""
        try:
            found = WAYS[peer](data, store)
        except Exception as raised:  # whatever a peer raises is what is counted
            found, error = {}, f"{type(raised).__name__}: {raised}"[:300]
        waited, worked = time.perf_counter() - started, time.process_time() - before
    ran = marks.read_text().split()  # before the steps run once more, here
    figures = {"processor": worked, "waited": waited, "ran": {step: ran.count(step) for step in dict.fromkeys(ran)}}
    if not check:
        return figures
    right = results(data, lambda step: step)
    if WAYS[peer] in OF_COFFEA:
        right = {name: each for name, each in right.items() if not name.endswith(" of all")}
    stale = sum(name in found and not same(found[name], one) for name, one in right.items())
    failed = sum(name not in found for name in right)
    return figures | {"results": len(right), "stale": stale, "failed": failed, "error": error}


def same(one: Any, other: Any) -> bool:
    """Whether two results have the same values."""
    return np.array_equal(np.asarray(one), np.asarray(other))


def answer(order: dict[str, Any]) -> None:
    """Carry out an order and say what came of it."""
    sys.path.insert(0, order["code"])
    told = run(order["peer"], *(Path(order[name]) for name in ("data", "store", "marks")), order["check"])
    print(f"\n{ANSWER}{json.dumps(told)}", flush=True)


def main() -> None:
    """Fork a process for each order, one after another."""
    for name in IMPORTS.get(sys.argv[1], ()):
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                answer(json.loads(line))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            print(f"\n{ANSWER}null", flush=True)


if __name__ == "__main__":
    main()
