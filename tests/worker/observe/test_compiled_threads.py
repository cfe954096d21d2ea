"""Threads that run no code of Python, as those of numba, OpenMP and libraries in C++, and ask Python for things."""

import _thread
import itertools
import operator
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cachingclient.worker.observe import describe, observing

KERNEL = """
import numba
import numpy as np
from cachingclient.worker.observe import observing

@numba.njit(parallel=True)
def toys(size):
    drawn = np.zeros(size)
    for i in numba.prange(size):
        drawn[i] = np.random.random()
    return drawn

with observing() as seen:
    drawn = toys(100)
print(len(set(drawn)), sorted(seen.drew))
"""


def in_bare_thread(function, *args, monkeypatch):
    """Run a function in a thread where nothing of Python calls it, and return what it raised."""
    raised, done = [], threading.Lock()

    def note(unraisable):
        if unraisable.object is list:  # else it is of what another test left, and is collected meanwhile
            raised.append(unraisable.exc_value)
            done.release()

    monkeypatch.setattr(sys, "unraisablehook", note)
    done.acquire()
    _thread.start_new_thread(list, (itertools.starmap(operator.call, [(function, *args), (done.release,)]),))
    assert done.acquire(timeout=300)
    return raised


@pytest.mark.parametrize(
    ("function", "args", "told"),
    [
        (lambda: os.urandom, (8,), "draws without a seed: os.urandom"),
        (lambda: open, ("numbers",), "reads numbers"),
        (lambda: os.stat, ("numbers",), "reads numbers"),
        (lambda: os.listdir, (".",), "depends on the working folder"),
        (lambda: os.environ.__getitem__, ("HOME",), "reads $HOME"),
        (lambda: os.getpid, (), None),
        (lambda: os.getcwd, (), "depends on the working folder"),
    ],
)
def test_what_compiled_code_asks_for_is_given_and_counts(function, args, told, tmp_path: Path, monkeypatch):
    """No error is raised where no frame of Python asks: in such a thread it ends the process."""
    (tmp_path / "numbers").write_text("1")
    monkeypatch.chdir(tmp_path)
    with observing() as seen:
        assert in_bare_thread(function(), *args, monkeypatch=monkeypatch) == []
    assert told is None or told in describe(seen, relative_to=str(tmp_path))


def test_random_numbers_of_parallel_kernels_are_drawn(tmp_path: Path):
    """Numba's threads ask for entropy when they first draw, without a frame."""
    env = {**os.environ, "NUMBA_THREADING_LAYER": "workqueue", "NUMBA_NUM_THREADS": "2"}
    (tmp_path / "kernel.py").write_text(KERNEL)
    done = subprocess.run([sys.executable, "kernel.py"], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.stdout == "100 ['os.urandom']\n", done.stderr
