"""One program run again in a process of its own: nothing of the user's runs twice, and an edit runs what it touches.

Each function of the program prints its name when it runs, on the worker; the test reads what was printed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HELPERS = """
def calibrated(x):
    return x * 2


def unrelated(x):
    return x - 1
"""

STEPS = """
import helpers

CUT = 3
SCALE = 10


def load(x):
    print("ran load", flush=True)
    return x + 1


def select(x):
    print("ran select", flush=True)
    return x * CUT


def calibrate(x):
    print("ran calibrate", flush=True)
    return helpers.calibrated(x)


def merge(*parts):
    print("ran merge", flush=True)
    return sum(parts)


def plot(x):
    print("ran plot", flush=True)
    return x + SCALE
"""

PROGRAM = """
import sys

import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import LocalCluster

import steps
from cachingclient import DiracClient


def on_blocks(block):
    print("ran on_blocks", flush=True)
    return block + 1


def on_parts(part):
    if len(part):
        print("ran on_parts", flush=True)
    return part.assign(c=part.a + 1)


def on_items(item):
    print("ran on_items", flush=True)
    return item * 2


def chain(client):
    loaded = [dask.delayed(steps.load)(number) for number in range(3)]
    chosen = [dask.delayed(steps.calibrate)(dask.delayed(steps.select)(one)) for one in loaded]
    return client.compute(dask.delayed(steps.plot)(dask.delayed(steps.merge)(*chosen))).result()


def everything(client):
    first = client.submit(steps.load, 1)
    mapped = client.map(steps.select, client.map(steps.load, range(3)))
    frame = pd.DataFrame({"a": np.arange(8)})
    results = [
        client.submit(steps.plot, first).result(),
        client.gather(mapped),
        chain(client),
        float(da.ones((8, 8), chunks=4).map_blocks(on_blocks, dtype=float, meta=np.ones((0, 0))).sum().compute()),
        int(dd.from_pandas(frame, npartitions=2).map_partitions(on_parts, meta=on_parts(frame[:0])).c.sum().compute()),
        db.from_sequence(range(4), npartitions=2).map(on_items).compute(),
    ]
    return results


if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        client = DiracClient(cluster, cache=sys.argv[1], policy="all")
        print("result", {"chain": chain, "everything": everything}[sys.argv[2]](client), flush=True)
        if sys.argv[3:] != ["leave"]:
            client.close()
"""


class Program:
    """A folder with the program, to be run and edited."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.result = ""
        for name, text in (("helpers", HELPERS), ("steps", STEPS), ("program", PROGRAM)):
            (folder / f"{name}.py").write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace some text of a module."""
        path = self.folder / f"{name}.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def run(self, *arguments: str) -> tuple[str, Counter[str]]:
        """Run the program in a process of its own; its result, and how often each function ran."""
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "program.py", (self.folder / "cache").as_uri(), *arguments]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        (result,) = (line.removeprefix("result ") for line in lines if line.startswith("result "))
        return result, Counter(line.removeprefix("ran ") for line in lines if line.startswith("ran "))


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program, never run."""
    return Program(tmp_path)


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which the chain was run once, and its result. To be copied, not to be used."""
    program = Program(tmp_path_factory.mktemp("cold"))
    result, ran = program.run("chain")
    assert ran == {"load": 3, "select": 3, "calibrate": 3, "merge": 1, "plot": 1}
    return program.folder, result


@pytest.fixture
def warm(cold: tuple[Path, str], tmp_path: Path) -> Program:
    """The program with all of its chain in the cache, in a folder of another name."""
    shutil.copytree(cold[0], tmp_path / "moved")
    warm = Program(tmp_path / "moved")
    warm.result = cold[1]
    return warm


@pytest.mark.slow
def test_second_process_runs_nothing(program: Program) -> None:
    """`submit`, `map`, a delayed chain, an array, a dataframe and a bag: the second process runs no user function."""
    cold, ran = program.run("everything")
    assert set(ran) == {"load", "select", "calibrate", "merge", "plot", "on_blocks", "on_parts", "on_items"}
    warm, ran = program.run("everything")
    assert warm == cold
    assert ran == Counter()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "old", "new", "again"),
    [
        ("steps", "return x * CUT", "return x * CUT + 1", {"select": 3, "calibrate": 3, "merge": 1, "plot": 1}),
        ("helpers", "return x * 2", "return x * 5", {"calibrate": 3, "merge": 1, "plot": 1}),
        ("steps", "CUT = 3", "CUT = 4", {"select": 3, "calibrate": 3, "merge": 1, "plot": 1}),
        ("steps", "SCALE = 10", "SCALE = 20", {"plot": 1}),
        ("helpers", "return x - 1", "return x - 2", {}),
        ("steps", "CUT = 3\n", "CUT = 3  # a comment that moves nothing but lines\n\n\n", {}),
        ("steps", "return x * CUT", "y = CUT * x\n    return y", {"select": 3}),
        ("steps", "def plot(x):", "def plot(x, colour='red'):", {"plot": 1}),
    ],
    ids=["body", "helper", "constant", "last-constant", "unused-helper", "comment", "refactored", "signature"],
)
def test_an_edit_runs_exactly_what_it_touches(
    warm: Program, module: str, old: str, new: str, again: dict[str, int]
) -> None:
    """After an edit that step and those after it run; a refactoring with equal results costs its own step alone."""
    warm.edit(module, old, new)
    _, ran = warm.run("chain")
    assert ran == Counter(again)


@pytest.mark.slow
def test_undoing_an_edit_runs_nothing(warm: Program) -> None:
    """Going back to what was run before finds it again, in a folder of another name too."""
    warm.edit("steps", "CUT = 3", "CUT = 4")
    edited, _ = warm.run("chain")
    assert edited != warm.result
    assert warm.run("chain") == (edited, Counter())
    warm.edit("steps", "CUT = 4", "CUT = 3")
    assert warm.run("chain") == (warm.result, Counter())


@pytest.mark.slow
def test_a_script_that_never_closes_its_client_keeps_its_results(program: Program) -> None:
    """What a one-shot script computed is in the store when it ends."""
    first, ran = program.run("chain", "leave")
    assert ran["merge"] == 1
    assert program.run("chain") == (first, Counter())


@pytest.mark.slow
def test_two_processes_on_one_cache_at_once(program: Program) -> None:
    """Two processes that start together on one empty cache both get right results, and leave a cache that is whole."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "program.py", (program.folder / "cache").as_uri(), "chain"]
    running = [
        subprocess.Popen(command, cwd=program.folder, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    results = [
        next(line for line in one.communicate(timeout=300)[0].splitlines() if "result" in line) for one in running
    ]
    assert results[0] == results[1]
    assert program.run("chain") == (results[0].removeprefix("result "), Counter())
