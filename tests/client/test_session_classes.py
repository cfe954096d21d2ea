"""Results that hold a script's own classes, loaded by the next session: they are of that session's classes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

CLASSES = """
import abc, collections, dataclasses, enum, json, os, sys, time, typing
import numpy as np
from distributed import LocalCluster
from cachingclient import DiracClient, step

class Channel(enum.Enum):
    MU = "mu"
    EL = "el"

class Bits(enum.Flag):
    A = enum.auto()
    B = enum.auto()

class Number(enum.IntEnum):
    ONE = 1

@dataclasses.dataclass(frozen=True)
class Region:
    name: str
    low: float

@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    low: float

class Point(typing.NamedTuple):
    x: int

Pair = collections.namedtuple("Pair", "a b")

class Yield:
    class Error:
        def __init__(self, up):
            self.up = up
    def __init__(self, value):
        self.value, self.error = value, Yield.Error(value)

class BadCut(Exception):
    pass

class Table(dict):
    pass

class Weights(np.ndarray):
    pass

class Name(str):
    pass

class Meta(type):
    pass

class Made(metaclass=Meta):
    pass

T = typing.TypeVar("T")

class Box(typing.Generic[T]):
    def __init__(self, value):
        self.value = value

class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...

class Square(Shape):
    def area(self):
        return 4

class Loop:
    def __init__(self):
        self.me, self.kind = self, Loop

def scaled(x):
    return 2 * x
"""

PROGRAM = (
    CLASSES
    + """
OFFSET = 0

def make(n):
    return {
        "member": {Channel.MU: n}, "flags": Bits.A | Bits.B, "number": Number.ONE, "dataclass": Region("sr", 30.0),
        "slots": Slotted(1.0), "named": [Point(1), Pair(1, 2)], "plain": Yield(n), "error": BadCut("low"),
        "dict": Table(a=1), "array": [np.arange(3).view(Weights)], "str": Name("x"), "metaclass": Made(),
        "generic": Box[int](3), "abstract": Square(), "cycle": Loop(), "class": Yield, "function": [scaled],
    }

def wrong(r):
    right = {
        "member": r["member"].get(Channel.MU) == 7 and list(r["member"])[0] is Channel.MU,
        "flags": r["flags"] == Bits.A | Bits.B, "number": r["number"] is Number.ONE,
        "dataclass": {Region("sr", 30.0): 1}.get(r["dataclass"]) == 1, "slots": r["slots"] == Slotted(1.0),
        "named": [type(x) for x in r["named"]] == [Point, Pair], "plain": isinstance(r["plain"], Yield),
        "nested": isinstance(r["plain"].error, Yield.Error), "error": isinstance(r["error"], BadCut),
        "dict": type(r["dict"]) is Table, "str": type(r["str"]) is Name, "metaclass": type(r["metaclass"]) is Made,
        "generic": type(r["generic"]) is Box, "abstract": isinstance(r["abstract"], Shape),
        "cycle": r["cycle"].me is r["cycle"] and r["cycle"].kind is Loop, "class": r["class"] is Yield,
        "function": r["function"][0](2) == 4,
    }
    return [name for name, held in right.items() if not held]

def wrong_in_a_task(r):
    return wrong(r), OFFSET

@step
def cut(n):
    time.sleep(0.1)
    return {Channel.MU: n}, Region("cr", n)

def calls_steps(n):
    pairs = [cut(n), cut(n)]
    return [[table.get(Channel.MU), region == Region("cr", n)] for table, region in pairs]

def of_a_function(client):
    class Local(enum.Enum):
        A = 1
    def counted(n):
        return {Local.A: n}
    return client.submit(counted, 3).result().get(Local.A)

if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=PROCESSES, dashboard_address=":0") as cluster:
        with DiracClient(cluster, policy="all") as client:
            made = client.submit(make, 7)
            said = {"task": client.submit(wrong_in_a_task, made).result()}  # before anybody has read it
            said["client"] = wrong(made.result())
            said["steps"] = client.submit(calls_steps, 5, pure=False).result()
            said["local"] = of_a_function(client)
            client.flush()
            counts = [report.summary().total for report in client.reports]
            said["ran"] = [count.ran for count in counts]
            print(json.dumps(said))
"""
)


def run(place: Path, program: str, **environment: str) -> Any:
    """Run a program as a script; return what it said last."""
    script = place / "analysis.py"
    script.write_text(program)
    full = {**os.environ, "PYTHONPATH": f"{place}:{ROOT}", "DASK_CACHINGCLIENT__STORE": (place / "cache").as_uri()}
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=place,
        env={**full, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert not done.returncode, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("processes", ["True", "False"])
def test_results_are_of_the_classes_of_the_session_that_loads_them(tmp_path: Path, processes: str) -> None:
    """Client, tasks and steps inside tasks alike; nothing runs again but what was edited, on the same classes."""
    program = PROGRAM.replace("PROCESSES", processes)
    right = {"client": [], "steps": [[5, True], [5, True]], "local": 3}
    first = run(tmp_path, program)
    assert first == {**right, "task": [[], 0], "ran": [1, 1, 2, 1]}
    second = run(tmp_path, program)
    assert second == {**right, "task": [[], 0], "ran": [0, 0, 1, 0]}
    edited = run(tmp_path, program.replace("OFFSET = 0", "OFFSET = 1"))
    assert edited == {**right, "task": [[], 1], "ran": [0, 1, 1, 0]}


IN_A_FILE = """
import json, pickle, sys
from distributed import LocalCluster
from cachingclient import DiracClient
import shapes

def read(path):
    with open(path, "rb") as file:
        return pickle.load(file)

def area(shape):
    return shape.area(), type(shape).__name__

def doubled(named):
    return 2 * named[0], named[1]

if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        with DiracClient(cluster, policy="all") as client:
            read_one = client.submit(read, "square.pickle")
            area_of_it = client.submit(area, read_one)
            value = client.submit(doubled, area_of_it).result()
            client.flush()
            summaries = [report.summary() for report in client.reports]
            print(json.dumps([value, [row.total.ran for row in summaries], [list(row.reasons) for row in summaries]]))
"""


def test_a_class_that_the_code_does_not_name_counts(tmp_path: Path) -> None:
    """A step that unpickles an object runs again when its class was edited, and the plan says why; and only then."""
    shapes = tmp_path / "shapes.py"
    shapes.write_text("class Square:\n    def area(self):\n        return 4\n")
    make = "import pickle, shapes; pickle.dump(shapes.Square(), open('square.pickle', 'wb'))"
    subprocess.run([sys.executable, "-c", make], cwd=tmp_path, check=True)
    assert run(tmp_path, IN_A_FILE) == [[8, "Square"], [1, 1, 1], [[], [], []]]
    assert run(tmp_path, IN_A_FILE) == [[8, "Square"], [0, 0, 0], [[], [], []]]
    before = shapes.read_text()
    shapes.write_text("class Square:\n    side = 3\n    def area(self):\n        return self.side**2\n")
    value, ran, reasons = run(tmp_path, IN_A_FILE)
    assert (value, ran) == ([18, "Square"], [1, 1, 1])
    assert [why for told in reasons for _, why in told] == ["run again: the class Square has changed"] * 3
    assert run(tmp_path, IN_A_FILE)[1] == [0, 0, 0]
    shapes.write_text("# as it was\n" + before)
    assert run(tmp_path, IN_A_FILE)[:2] == [[8, "Square"], [0, 0, 0]]
