"""pip puts the package into environments that exist, and changes nothing that is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.older.conftest import environment

ROOT = Path(__file__).parents[2]
NAMES = """
import importlib.metadata, json
print(json.dumps([each.name.lower().replace("_", "-") for each in importlib.metadata.distributions()]))
"""

MORE = ("coffea-dask-awkward", "dask-2025.3.1", "newest", "root")
"""Environments beside the one whose pins are the oldest, which each run has."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it is given to others."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "uv", "--quiet", "build", "--wheel", "--out-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


@pytest.mark.parametrize(
    "name",
    ["coffea-0.7", *(pytest.param(name, marks=pytest.mark.matrix) for name in MORE)],
    ids=lambda name: name,
)
def test_pip_changes_nothing_that_is_installed(name: str, wheel: Path, tmp_path: Path) -> None:
    """What pip would install beside the package was not there before, whichever dask and numpy were."""
    python = str(environment(f"bare-{name}"))
    report = tmp_path / "report.json"
    command = ["-m", "pip", "install", "--quiet", "--dry-run", "--report", str(report), str(wheel)]
    subprocess.run([python, *command], check=True)
    there = json.loads(subprocess.run([python, "-c", NAMES], capture_output=True, check=True).stdout)
    new = {each["metadata"]["name"].lower().replace("_", "-") for each in json.loads(report.read_text())["install"]}
    assert "cachingclient" in new
    assert "dask" in there
    assert not new & set(there)
