"""Steps on libraries in a folder on PYTHONPATH, as pip install --target leaves them, are found."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dask
import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys
import dask, dask.array as da, dask.bag as db, dask.dataframe as dd
import numpy as np, pandas as pd
from operator import add
from cachingclient import DiracClient

def half(x):
    return x / 2

if __name__ == "__main__":
    with DiracClient(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        frame = dd.from_pandas(pd.DataFrame({"a": [1, 2, 3, 4], "b": [1, 1, 2, 2]}), npartitions=2)
        results = [
            client.submit(half, 3).result(),
            float((da.ones((20, 20), chunks=10) + 1).sum().compute()),
            float(da.from_array(np.arange(20.0), chunks=5).map_blocks(np.sqrt).mean().compute()),
            db.from_sequence(range(10), npartitions=2).map(half).fold(add).compute(),
            frame.groupby("b").a.sum().compute().tolist(),
        ]
        totals = [report.to_dict()["total"] for report in client.reports]
        told = {name: sum(total[name] for total in totals) for name in ("ran", "uncacheable")}
        print(json.dumps({"dask": dask.__file__, "results": results, **told}))
"""

pytestmark = pytest.mark.slow


def test_steps_of_a_dask_on_the_path_are_found_by_another_process(tmp_path: Path, store_url: str) -> None:
    """Arrays, bags and frames of such a dask run once, and nothing of them in a second process."""
    folder = tmp_path / "libraries"
    shutil.copytree(Path(dask.__file__).parent, folder / "dask", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    described = Path(str(importlib.metadata.distribution("dask").locate_file("")))
    (info,) = described.glob("dask-*.dist-info")
    shutil.copytree(info, folder / info.name)
    (tmp_path / "main.py").write_text(PROGRAM)
    settings = {"DASK_CACHINGCLIENT__STORE": store_url, "DASK_CACHINGCLIENT__POLICY": "all"}
    told = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "main.py"],
            cwd=tmp_path,
            env=os.environ | settings | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-5000:]
        told.append(json.loads(done.stdout.splitlines()[-1]))
    first, again = told
    assert first["dask"].startswith(str(folder))
    assert first["ran"] > 10
    assert first["uncacheable"] == 0
    assert again == first | {"ran": 0}
