"""Runs of the analysis by one peer: each in a process of its own, with its cluster, forked before it is imported.

What dask and the peer need is imported once. A line of JSON that comes in has orders, which are carried out at the same
time; a line goes out when all are. Each order says where its results go, and the figures of its run. The way `right`
calls one function after another, without dask or a cache.
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
from ways import IMPORTS, WAYS, client_of, results

DONE = "done"
"""The line that says that every order was carried out."""


def listen(path: Path) -> None:
    """Have this process write each step that runs into a file."""
    path.unlink(missing_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def hear(event: str, values: tuple[Any, ...]) -> None:
        if event == "analysis.ran":
            os.write(file, f"{values[0]}\n".encode())

    sys.addaudithook(hear)


def run(way: str, data: Path, store: Path, marks: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The results of a run, and its figures: the steps that ran, what it took, and what it raised."""
    listen(marks)
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0") as cluster,
        client_of(way, cluster, store),
    ):
        before, started, error = time.process_time(), time.perf_counter(), ""
        try:
            found = WAYS[way](data, store)
        except Exception as raised:  # whatever a peer raises is what is counted
            found, error = {}, f"{type(raised).__name__}: {raised}"[:300]
        waited, worked = time.perf_counter() - started, time.process_time() - before
    ran = marks.read_text().split()
    counts = {step: ran.count(step) for step in dict.fromkeys(ran)}
    return found, {"processor": worked, "waited": waited, "ran": counts, "error": error}


def carry_out(order: dict[str, str]) -> None:
    """Carry out an order, and write what came of it."""
    os.dup2(2, 1)  # peers print, and the lines that go out are ours
    sys.path.insert(0, order["code"])
    data, told = Path(order["data"]), Path(order["told"])
    if order["way"] == "right":
        found, figures = results(data, lambda step: step), {}
    else:
        found, figures = run(order["way"], data, Path(order["store"]), told.with_suffix(".marks"))
    np.savez(told.with_suffix(".npz"), **{name: np.asarray(one) for name, one in found.items()})
    told.write_text(json.dumps(figures))


def forked(order: dict[str, str]) -> int:
    """The process that carries out an order."""
    child = os.fork()
    if child:
        return child
    try:
        carry_out(order)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main() -> None:
    """Fork a process for each order."""
    for name in IMPORTS.get(sys.argv[1], ()):
        importlib.import_module(name)
    for line in sys.stdin:
        children = [forked(order) for order in json.loads(line)]
        ended = [os.waitpid(child, 0)[1] for child in children]
        print("failed" if any(ended) else DONE, flush=True)


if __name__ == "__main__":
    main()
