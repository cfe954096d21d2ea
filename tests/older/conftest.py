"""Environments with older releases: of dask, for dask-awkward, and of coffea."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMON = (
    "click",
    "cloudpickle",
    "fsspec",
    "hist",
    "hypothesis",
    "pytest",
    "pytest-asyncio",
    "pyyaml",
    "rich",
    "xxhash",
)
ENVIRONMENTS = {
    # The last dask that dask-awkward runs on.
    "dask-awkward": ("dask==2025.3.0", "distributed==2025.3.0", "dask-awkward", "dask-histogram", "uproot", *COMMON),
    # What the Analysis Grand Challenge pins coffea to, on today's dask.
    "coffea-0.7": ("coffea==0.7.31", "dask==2026.8.0", "distributed==2026.8.0", "pandas<3", "pyarrow<19", *COMMON),
}

RunIn = Callable[..., str]


def environment(name: str) -> Path:
    """The interpreter of an environment, made once for each list of what is in it."""
    wanted = ENVIRONMENTS[name]
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cachingclient-tests"
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    place = folder / f"{name}-{version}-{hashlib.sha256(' '.join(wanted).encode()).hexdigest()[:8]}"
    interpreter = place / "bin" / "python"
    if not (place / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        command = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"the environment {name} can't be installed here: {done.stderr.strip().splitlines()[-1]}")
        (place / "complete").touch()
    return interpreter


@pytest.fixture
def run_in(tmp_path: Path, store_url: str) -> RunIn:
    """Run Python in one of the environments, in this test's folder and with its store; gives what it prints."""

    def run(name: str, *arguments: str, folder: Path = tmp_path) -> str:
        settings = {"DASK_CACHINGCLIENT__STORE": store_url, "DASK_CACHINGCLIENT__POLICY": "all"}
        done = subprocess.run(
            [str(environment(name)), "-W", "ignore", *arguments],
            cwd=folder,
            env=os.environ | settings | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
        return done.stdout

    return run
