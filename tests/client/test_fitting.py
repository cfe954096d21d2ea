"""A dask that nobody has tried: what fits caches as ever, what does not is one warning and a plain client."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import distributed
import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, warnings

def double(x):
    return 2 * x

if __name__ == "__main__":
    with warnings.catch_warnings(record=True, action="always") as seen:
        import dask
        from cachingclient import DiracClient, step

        marked = step(double)
        told = []
        for _ in range(2):
            with DiracClient(n_workers=1, threads_per_worker=1, dashboard_address=None, policy="all") as client:
                with client.reporting() as report:
                    results = [client.submit(double, 3).result(), dask.delayed(marked)(4).compute(), marked(5)]
                client.flush()
                told.append((results, report.to_dict()["total"].get("loaded")))
                assert str(client.report)
    ours = [str(each.message) for each in seen if each.category.__name__ == "CacheWarning"]
    print(json.dumps({"told": told, "warnings": ours, "dask": dask.__file__}))
"""

pytestmark = pytest.mark.slow

Change = tuple[str, str, str]


@pytest.fixture
def run_on(tmp_path: Path, store_url: str) -> Callable[..., dict[str, Any]]:
    """Run the program on copies of dask and distributed with a version of their own and some texts changed."""
    folder = tmp_path / "newer"

    def run(*changes: Change) -> dict[str, Any]:
        for package in (dask, distributed):
            source = Path(str(package.__file__)).parent
            shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("tests", "__pycache__"))
            info = folder / f"{source.name}-2099.1.0.dist-info"
            info.mkdir()
            text = importlib.metadata.distribution(source.name).read_text("METADATA") or ""
            (info / "METADATA").write_text(text.replace(f"\nVersion: {package.__version__}", "\nVersion: 2099.1.0", 1))
            (info / "entry_points.txt").touch()
            (info / "RECORD").write_text(f"{source.name}/__init__.py,,\n")
        for file, old, new in changes:
            for place in folder.rglob("*.py") if file == "*" else [folder / file]:
                text = place.read_text()
                assert file == "*" or old in text
                place.write_text(text.replace(old, new))
            for place in folder.rglob(f"{old}.py"):
                place.rename(place.with_stem(new))
        (tmp_path / "main.py").write_text(PROGRAM)
        done = subprocess.run(
            [sys.executable, "main.py"],
            cwd=tmp_path,
            env=os.environ
            | {"DASK_CACHINGCLIENT__STORE": store_url, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-5000:]
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        assert told["dask"].startswith(str(folder))
        return told

    return run


def test_a_newer_dask_with_the_same_insides_caches(run_on: Callable[..., dict[str, Any]]) -> None:
    """A release that is on no list is looked at, found fit, and used without a word."""
    told = run_on()
    assert told["told"] == [[[6, 8, 10], 0], [[6, 8, 10], 2]]
    assert told["warnings"] == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("*", "_graph_to_futures", "_send_graph"), "Client._graph_to_futures is not there"),
        (("*", "internal_priority", "own_priority"), "does not take internal_priority"),
        (("*", "convert_legacy_graph", "convert_graph"), "convert_legacy_graph is not there"),
        (("*", "_task_spec", "_task_nodes"), "dask._task_spec:GraphNode is not there"),
    ],
    ids=["a method renamed", "an argument renamed", "a function renamed", "a module moved"],
)
def test_where_the_insides_have_moved_the_client_is_plain(
    run_on: Callable[..., dict[str, Any]], change: Change, named: str
) -> None:
    """Results are right, nothing is kept, and one warning names what is gone."""
    told = run_on(change)
    assert told["told"] == [[[6, 8, 10], None], [[6, 8, 10], None]]
    (warning,) = told["warnings"]
    assert named in warning
    assert "runs without the cache" in warning
