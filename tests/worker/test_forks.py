"""Steps called in children of a fork and in pools, whose parent has used the cache and has threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import json, multiprocessing, os, select, sys, threading, time
from concurrent.futures import ProcessPoolExecutor
from cachingclient import DiracClient, step
from distributed import LocalCluster

@step
def heavy(x):
    os.write(1, b"ran\\n")
    time.sleep(0.15)
    return [x] * 1000

def in_child(function, *args):
    "Call a function in a forked child that ends without a word; return what it gave."
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, str(function(*args)[0]).encode())
        finally:
            os._exit(0)
    os.close(write)
    ready = select.select([read], [], [], 30)[0]
    said = os.read(read, 100).decode() if ready else "hangs"
    os.close(read)
    if not ready:
        os.kill(pid, 9)
    os.waitpid(pid, 0)
    return said

def task(n):
    return [[heavy(n + k)[0], in_child(heavy, n + k), in_child(heavy, n + k + 100)] for k in range(4)]

def forks():
    return [[heavy(k)[0], in_child(heavy, k), in_child(heavy, k + 100)] for k in range(4)]

def pool(method):
    context = multiprocessing.get_context(method)
    with context.Pool(2) as workers:
        return [result[0] for result in workers.map(heavy, range(4))]

def executor(method):
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as workers:
        return [result[0] for result in workers.map(heavy, range(4))]

def a_session(k):
    with DiracClient(processes=False, n_workers=1, dashboard_address=None, policy="all") as client:
        done = client.submit(heavy, k).result()[0]
        client.flush()
        return done, len([each for each in client.report.records if each.kept or each.action == "loaded"])

def session(method):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as workers:
        return list(workers.submit(a_session, 5).result())

def graph():
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        with DiracClient(cluster, policy="all") as client:
            return client.submit(task, 10, pure=False).result()

if __name__ == "__main__":
    if sys.argv[1] not in ("graph", "pool spawn"):
        heavy(0)  # a thread writes it now
    kind, _, method = sys.argv[1].partition(" ")
    print("GAVE " + json.dumps(globals()[kind](*filter(None, [method]))), flush=True)
"""


def run(place: Path, what: str) -> tuple[object, int]:
    """Run the program; return what it gave and how often a step ran."""
    script = place / "analysis.py"
    script.write_text(PROGRAM)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DASK_CACHINGCLIENT__STORE": (place / "cache").as_uri(),
        "DASK_CACHINGCLIENT__POLICY": "all",
    }
    done = subprocess.run(
        [sys.executable, str(script), what], cwd=place, env=environment, capture_output=True, text=True, timeout=120
    )
    assert not done.returncode, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("GAVE ")]
    assert said, done.stdout
    return json.loads(said[0].removeprefix("GAVE ")), done.stdout.count("ran")


IN_CHILDREN = [[k, str(k), str(k + 100)] for k in range(4)]


@pytest.mark.parametrize(
    ("what", "gives", "runs"),
    [
        ("forks", IN_CHILDREN, 8),
        ("graph", [[k + 10, str(k + 10), str(k + 110)] for k in range(4)], 8),
        ("pool fork", [0, 1, 2, 3], 4),
        ("pool spawn", [0, 1, 2, 3], 4),
        ("pool forkserver", [0, 1, 2, 3], 4),
        ("executor fork", [0, 1, 2, 3], 4),
        ("session forkserver", [5, 1], 2),
    ],
)
def test_children_neither_hang_nor_lose_what_they_keep(tmp_path: Path, what: str, gives: object, runs: int) -> None:
    """They find what the parent kept; what they keep themselves is found by the next program, however they end."""
    assert run(tmp_path, what) == (gives, runs)
    assert run(tmp_path, what) == (gives, 0)
