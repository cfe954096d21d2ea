"""What memories were filled from by runs that are not kept, by runs beside, and outside of steps."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cachingclient.plan.record import StepRecord
from cachingclient.worker.context import Context
from cachingclient.worker.process import process
from tests.worker.running import Heard, step


@functools.cache
def table(path: str) -> int:
    return int(Path(path).read_text())


@functools.cache
def drawn() -> float:
    return int.from_bytes(os.urandom(4), "little")


def scale(path: list[str], x: int) -> int:
    return table("".join(path)) * x


def load_and_fail(path: list[str]) -> int:
    raise ValueError(table("".join(path)))


def load_and_change(path: list[str], values: list[int]) -> int:
    values.append(1)
    return table("".join(path))


class Gate:
    """Where a step waits until the test lets it go on."""

    __cache_token__ = property(lambda self: "gate")

    def __init__(self) -> None:
        self.loaded, self.goes_on = threading.Event(), threading.Event()


def load_and_wait(path: list[str], gate: Gate) -> int:
    number = table("".join(path))
    gate.loaded.set()
    assert gate.goes_on.wait(300)
    return number


def draw() -> float:
    return drawn()


def use_what_was_drawn(x: int) -> float:
    return drawn() > x


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    """Memories with nothing in them, of which nothing is known."""
    yield
    for memory in (table, drawn):
        memory.cache_clear()
    process().memories.__init__()  # type: ignore[misc]


@pytest.fixture
def path(tmp_path: Path) -> list[str]:
    """The parts of the name of a file that holds a number: no argument names it."""
    (tmp_path / "table").write_text("7")
    return [str(tmp_path), "/", "table"]


def only(heard: Heard) -> StepRecord:
    (record,) = heard.take()
    return record


def reads(record: StepRecord) -> list[str]:
    return sorted(record.trace.read)


def test_a_memory_that_a_failed_step_filled(context: Context, heard: Heard, path: list[str]) -> None:
    """What is read in vain is in memory all the same: a later step depends on it, and is kept."""
    with pytest.raises(ValueError, match="7"):
        step(load_and_fail, context)(path)
    heard.take()
    assert step(scale, context, 2)(path, 2) == 14
    record = only(heard)
    assert record.kept
    assert reads(record) == ["".join(path)]


def test_a_memory_that_a_step_filled_which_is_not_kept(context: Context, heard: Heard, path: list[str]) -> None:
    """It changed an argument, which has nothing to do with what it read."""
    assert step(load_and_change, context)(path, [1, 2]) == 7
    assert "it changed what it was given" in only(heard).note
    assert step(scale, context, 2)(path, 2) == 14
    record = only(heard)
    assert record.kept
    assert reads(record) == ["".join(path)]


def test_a_memory_that_holds_what_was_drawn(context: Context, heard: Heard) -> None:
    """Who takes from it draws as well, though it draws nothing itself."""
    step(draw, context)()
    assert "draws random numbers" in only(heard).note
    step(use_what_was_drawn, context, 2)(3)
    record = only(heard)
    assert not record.kept
    assert "it calls drawn, whose functools.cache was filled where nobody saw" in record.note


def test_a_memory_that_was_filled_outside_of_steps(context: Context, heard: Heard, path: list[str]) -> None:
    """A script calls the loader itself: nobody saw what that read."""
    assert table("".join(path)) == 7
    assert step(scale, context)(path, 2) == 14
    record = only(heard)
    assert not record.kept
    assert "it calls table, whose functools.cache was filled where nobody saw" in record.note


def test_a_library_memory_may_be_filled_by_anybody(context: Context, heard: Heard) -> None:
    """Libraries remember what they parse, for whoever asks."""
    parsed("root://server//file?first")
    assert step(parsed, context)("root://server//file?first") == "first"
    assert only(heard).kept


def parsed(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).query


def test_a_memory_that_a_step_beside_fills(context: Context, heard: Heard, path: list[str]) -> None:
    """It still runs when another one takes what it read: that one depends on the file too."""
    gate = Gate()
    other = threading.Thread(target=step(load_and_wait, context, 3), args=(path, gate))
    other.start()
    assert gate.loaded.wait(300)
    assert step(scale, context)(path, 2) == 14
    record = only(heard)
    gate.goes_on.set()
    other.join()
    assert record.kept
    assert reads(record) == ["".join(path)]


HELPER = """
import functools, os
HERE = os.path.dirname(os.path.abspath(__file__))

@functools.cache
def table():
    with open(os.path.join(HERE, "table")) as file:
        return int(file.read())

@functools.cache
def twice(x):
    return 2 * x

LARGE, FOUR = table() > 100, twice(2)

def scale(x):
    return x * table()

def double(x):
    return twice(2) * x
"""
SCRIPT = """
from distributed import LocalCluster
from cachingclient import DiracClient
from helper_of_fills import double, scale

if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        with DiracClient(cluster, cache="{cache}", policy="all") as client:
            print(*client.gather(client.map(scale, [1, 2])), client.report.summary().total.loaded)
            print(client.submit(double, 5).result(), client.report.summary().total.loaded)
"""


def test_a_loader_that_a_module_calls_while_it_is_imported(tmp_path: Path) -> None:
    """What it reads then counts for the steps that take it from memory: an edit runs them, and nothing else does."""
    (tmp_path / "helper_of_fills.py").write_text(HELPER)
    (tmp_path / "script.py").write_text(SCRIPT.replace("{cache}", (tmp_path / "cache").as_uri()))

    def told(number: int) -> list[str]:
        (tmp_path / "table").write_text(str(number))
        command = [sys.executable, "script.py"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
        assert not done.returncode, done.stderr
        return done.stdout.splitlines()

    assert told(10) == ["10 20 0", "20 0"]
    assert told(10) == ["10 20 2", "20 1"]
    assert told(30) == ["30 60 0", "20 0"]
