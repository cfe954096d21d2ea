"""Merges of what coffea packed: found again, and run again when a class in it that no code leads to is another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cachingclient.worker.packed import are_much

executor = pytest.importorskip("coffea.processor.executor")

SUMS = """
class Sum:
    def __init__(self, values):
        self.values = values

    def __add__(self, other):
        return Sum(self.values + other.values)
"""
SCRIPT = """
import pickle, sys
import numpy as np
from coffea.processor.executor import _compress, _decompress, _reduce
from cachingclient import DiracClient

def chunk(path, seed):
    with open(path, "rb") as file:
        total = pickle.load(file)
    total.values = np.random.default_rng(seed).random(400_000)
    return _compress({"sum": total}, 1)

def plain(seed):
    return _compress({"sum": np.random.default_rng(seed).random(400_000)}, 1)

if __name__ == "__main__":
    with DiracClient(n_workers=1, threads_per_worker=1, cache=sys.argv[1], policy="all") as client:
        if sys.argv[2:]:
            chunks = [client.submit(chunk, sys.argv[2], seed) for seed in range(2)]
        else:
            chunks = client.map(plain, range(2))
        merged = client.submit(_reduce(1), chunks)
        found = _decompress(merged.result())["sum"]
        client.flush()
        ran = sum(row["ran"] for report in client.reports for row in report.to_dict()["rows"])
        print(float(getattr(found, "values", found).sum()), ran)
"""  # fmt: skip
RIGHT = sum(np.random.default_rng(seed).random(400_000).sum() for seed in range(2))


@pytest.fixture
def analyse(tmp_path: Path, store_url: str):  # type: ignore[no-untyped-def]
    """Run the script in a process of its own; gives the sum and how many steps ran."""
    script = tmp_path / "analysis.py"
    script.write_text(SCRIPT)
    root = Path(__file__).parents[2]
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(root)])}

    def run(*arguments: str) -> tuple[float, int]:
        command = [sys.executable, str(script), store_url, *arguments]
        done = subprocess.run(command, env=os.environ | paths, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        total, ran = done.stdout.split()
        return float(total), int(ran)

    return run


def test_they_are_not_looked_into() -> None:
    """What is compressed and much; not what is little, is not compressed, or has something beside it."""
    packed = executor._compress({"values": np.random.default_rng(1).random(400_000)}, 1)
    assert are_much(([packed] * 2,), {})
    assert not are_much(([packed],), {})
    assert not are_much(([packed] * 2, 1), {})
    assert not are_much(([b"0" * 5_000_000],), {})
    assert not are_much(([packed] * 2,), {"weights": [1.0, 2.0]})


def test_a_merge_is_found_by_its_step(analyse) -> None:  # type: ignore[no-untyped-def]
    """Though its inputs are not named by what they hold."""
    assert analyse() == (pytest.approx(RIGHT), 3)
    assert analyse() == (pytest.approx(RIGHT), 0)


def write(folder: Path, body: str) -> None:
    """A module with a class, and a file with an object of it."""
    (folder / "sums.py").write_text(body)
    code = "import pickle, sums; pickle.dump(sums.Sum(0), open('sum.pickle', 'wb'))"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)


def test_a_class_in_them_counts(analyse, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A chunk finds it in a file, and the merge adds by it."""
    write(tmp_path, SUMS)
    assert analyse(str(tmp_path / "sum.pickle"))[0] == pytest.approx(RIGHT)
    write(tmp_path, SUMS.replace("self.values + other.values", "self.values + 2 * other.values"))
    other = sum((2 - seed) * np.random.default_rng(seed).random(400_000).sum() for seed in range(2))
    assert analyse(str(tmp_path / "sum.pickle"))[0] == pytest.approx(other)
