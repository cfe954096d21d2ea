"""Small NanoAOD-like files, and coffea runs on the session's cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import awkward as ak
import dask
import numpy as np
import pytest

uproot = pytest.importorskip("uproot")
pytest.importorskip("coffea")

ROOT = Path(__file__).parents[2]
EVENTS = 60
UNOBSERVED = ["*/log"]


def write_events(path: Path, seed: int, entries: int = EVENTS, **options: Any) -> Path:
    """Write a file with the columns of NanoAOD that the tests read."""
    rng = np.random.default_rng(seed)

    def collection(mean: float) -> ak.Array:
        counts = rng.poisson(mean, entries)
        total = int(counts.sum())
        columns = {
            "pt": rng.exponential(40, total) + 15,
            "eta": rng.normal(0, 1.5, total),
            "phi": rng.uniform(-3, 3, total),
            "mass": rng.uniform(0, 10, total),
        }
        records = ak.zip({name: values.astype(np.float32) for name, values in columns.items()})
        return ak.unflatten(records, counts)

    columns = {"Jet": collection(4), "Muon": collection(1)}
    columns["MET_pt"] = rng.exponential(30, entries).astype(np.float32)
    columns["MET_phi"] = rng.uniform(-3, 3, entries).astype(np.float32)
    columns["event"] = np.arange(entries, dtype=np.uint64)
    columns["run"] = columns["luminosityBlock"] = np.ones(entries, dtype=np.uint32)
    with uproot.recreate(path, **options) as file:
        types = {
            name: ak.type(data).content if isinstance(data, ak.Array) else data.dtype for name, data in columns.items()
        }
        tree = file.mktree("Events", types)
        tree.extend(columns)
    return path


@pytest.fixture(autouse=True)
def _logs_count_for_no_step(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Processors and steps write a line for each call into a file named log, which is no part of what they do."""
    monkeypatch.setenv("DASK_CACHINGCLIENT__UNOBSERVED", repr(UNOBSERVED))  # for processes of pools
    with dask.config.set({"cachingclient.unobserved": UNOBSERVED}):
        yield


@pytest.fixture
def two_files(tmp_path: Path) -> list[Path]:
    """Two files of one data set."""
    folder = tmp_path / "data"
    folder.mkdir()
    return [write_events(folder / f"events{number}.root", number) for number in range(2)]


@pytest.fixture
def run_program(tmp_path: Path, store_url: str) -> Callable[..., str]:
    """Run a Python file of the test's folder in a process of its own, with this test's store; gives what it prints."""

    def run(name: str = "main.py", *arguments: str) -> str:
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DASK_CACHINGCLIENT__STORE": store_url,
            "DASK_CACHINGCLIENT__POLICY": "all",
            "DASK_CACHINGCLIENT__UNOBSERVED": repr(UNOBSERVED),
        }
        done = subprocess.run(
            [sys.executable, name, *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
