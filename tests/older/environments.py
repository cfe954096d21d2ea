"""Environments with older releases, each made once and kept: of dask, for dask-awkward, and of coffea."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

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
    "vector",
    "xxhash",
)
ENVIRONMENTS = {
    # The last dask that dask-awkward runs on.
    "dask-awkward": ("dask==2025.3.0", "distributed==2025.3.0", "dask-awkward", "dask-histogram", "uproot", *COMMON),
    # What the Analysis Grand Challenge pins coffea to, on today's dask.
    "coffea-0.7": ("coffea==0.7.31", "dask==2026.8.0", "distributed==2026.8.0", "pandas<3", "pyarrow<19", *COMMON),
}


class NotInstalled(RuntimeError):
    """The packages can't be had here."""


def interpreter(name: str) -> Path:
    """The interpreter of an environment, made once for each list of what is in it.

    Raises
    ------
    NotInstalled
        It can't be made; the last thing that venv or pip said is the reason.
    """
    wanted = ENVIRONMENTS[name]
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cachingclient-tests"
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    place = folder / f"{name}-{version}-{hashlib.sha256(' '.join(wanted).encode()).hexdigest()[:8]}"
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
        for command in ([sys.executable, "-m", "venv", "--clear", str(place)], install):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                said = (done.stderr or done.stdout).strip().splitlines() or ["nothing was said"]
                raise NotInstalled(f"the environment {name} can't be installed here: {said[-1]}")
        (place / "complete").touch()
    return python
