"""Objects that one step unpickles and others use, of a class whose module the client never imports."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

MODEL = """
import units.lengths
from corrections import scale

class Model:
    def __init__(self, slope):
        self.slope = slope

    def predict(self, x):
        return scale() * self.slope * x * units.METRE
"""
FILES = {
    "corrections": "def scale():\n    return 1.0\n",
    "units/__init__": "METRE = 1.0\n",
    "units/lengths": "",
}
SCRIPT = """
import pickle, sys
from cachingclient import DiracClient

def load(path):
    with open(path, "rb") as file:
        return pickle.load(file)

def predict(model, x):
    return model.predict(x)

def add_one(x):
    return x + 1

if __name__ == "__main__":
    with DiracClient(n_workers=1, threads_per_worker=1, cache=sys.argv[1], policy="all") as client:
        predicted = client.submit(predict, client.submit(load, sys.argv[2]), 5)
        value = client.submit(add_one, predicted).result()
        client.flush()
        print(value, sum(row["ran"] for report in client.reports for row in report.to_dict()["rows"]))
"""


@pytest.fixture
def analyse(tmp_path: Path, store_url: str) -> Callable[[], tuple[float, int]]:
    """Run the script in a process of its own; gives the value and how many steps ran."""
    for name, text in {"models": MODEL, **FILES, "analysis": SCRIPT}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").write_text(text)
    code = "import pickle, models; pickle.dump(models.Model(3), open('model.pickle', 'wb'))"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])}

    def run() -> tuple[float, int]:
        command = [sys.executable, str(tmp_path / "analysis.py"), store_url, str(tmp_path / "model.pickle")]
        done = subprocess.run(command, env=os.environ | paths, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        value, ran = done.stdout.split()
        return float(value), int(ran)

    return run


@pytest.mark.parametrize(
    ("file", "old", "new", "value"),
    [
        ("models.py", "self.slope * x", "self.slope * x * 10", 151.0),
        ("corrections.py", "return 1.0", "return 2.0", 31.0),
        ("units/__init__.py", "1.0", "3.0", 46.0),
    ],
    ids=["a method", "a helper in another file", "a package that a module is in"],
)
def test_an_edit_of_the_class_counts(
    analyse: Callable[[], tuple[float, int]], tmp_path: Path, file: str, old: str, new: str, value: float
) -> None:
    """For the step that calls a method of it, and for those after that; without an edit nothing runs."""
    assert analyse() == (16.0, 3)
    assert analyse() == (16.0, 0)
    path = tmp_path / file
    path.write_text(path.read_text().replace(old, new))
    assert analyse()[0] == value
    assert analyse() == (value, 0)


def test_a_module_that_its_class_imports_by_a_computed_name_counts(
    analyse: Callable[[], tuple[float, int]], tmp_path: Path
) -> None:
    """Its source does not tell which one it is, so nothing of the class is kept."""
    (tmp_path / "toolbox.py").write_text("def scale():\n    return 1.0\n")
    text = "import importlib\n\ndef scale():\n    return importlib.import_module('tool' + 'box').scale()\n"
    (tmp_path / "corrections.py").write_text(text)
    assert analyse()[0] == 16.0
    (tmp_path / "toolbox.py").write_text("def scale():\n    return 2.0\n")
    assert analyse()[0] == 31.0
