"""Environments that analysts have, each made once and kept: older releases of dask, dask-awkward, coffea 0.7, ROOT."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dask

COMMON = (
    "click",
    "cloudpickle",
    "cryptography",
    "fsspec",
    "hist",
    "hypothesis",
    "pytest",
    "pytest-asyncio",
    "pytest-timeout",
    "pyyaml",
    "rich",
    "vector",
    "xxhash",
)
"""What the package and its tests need; no dask, no numpy, which are the environment's own."""
CURRENT = ("awkward", "coffea>=2026.9", "pandas", "pip", "pyarrow", "sparse", "uproot", *COMMON)
RELEASES = ("2025.3.0", "2025.5.1", "2025.7.0", "2025.12.0", "2026.1.2", "2026.3.0", "2026.7.1", "2026.8.0")


@dataclass(frozen=True)
class Recipe:
    """What is asked of the index, and for which Python; this one unless told otherwise."""

    packages: tuple[str, ...]
    python: str = f"{sys.version_info[0]}.{sys.version_info[1]}"


ENVIRONMENTS = {
    # The last dask that dask-awkward runs on.
    "dask-awkward": Recipe(
        ("dask==2025.3.0", "distributed==2025.3.0", "dask-awkward", "dask-histogram", "uproot", *COMMON)
    ),
    # What the Analysis Grand Challenge pins coffea to, on today's dask.
    "coffea-0.7": Recipe(
        # vector from 1 on is for awkward 2.
        (
            "coffea==0.7.31",
            "dask==2026.8.0",
            "distributed==2026.8.0",
            "pandas<3",
            "pyarrow<19",
            "vector<1",
            "zstandard",
            *COMMON,
        )
    ),
    "newest-3.13": Recipe(("dask", "distributed", "xgboost-cpu", *CURRENT), python="3.13"),
    # What ATLAS and CMS had in their integration challenge.
    "dask-2025.3.1": Recipe(
        ("dask==2025.3.1", "distributed==2025.3.1", "awkward", "pandas", "pyarrow", "uproot", *COMMON), python="3.12"
    ),
    "root": Recipe(("root==0.1a12", "dask==2026.8.0", "distributed==2026.8.0", *COMMON)),
    # Workers of somebody else, of the release that the tests have here.
    "pool": Recipe((f"dask=={dask.__version__}", f"distributed=={dask.__version__}", "numpy")),
    # A gateway's server, and its users' environment.
    "gateway": Recipe(
        (
            *("dask-gateway", "dask-gateway-server[local]", "numpy"),
            *(f"dask=={dask.__version__}", f"distributed=={dask.__version__}"),
            *("click", "cloudpickle", "fsspec", "pyyaml", "rich", "xxhash"),
        )
    ),
    # The client of ServiceX, which asks for releases of its own.
    "servicex": Recipe(("servicex==3.3.1",)),
    # The last bindings that make job advertisements without a server.
    "htcondor": Recipe(("htcondor==24.0.24",)),
    # As pip and uv make them for somebody who asks for these, and nothing of ours.
    "bare-coffea-0.7": Recipe(("coffea[dask]==0.7.31", "pip")),
    "bare-coffea-dask-awkward": Recipe(("coffea==2026.9", "dask-awkward", "pip")),
    "bare-dask-2025.3.1": Recipe(("dask[complete]==2025.3.1", "pip"), python="3.12"),
    "bare-newest": Recipe(("dask", "distributed", "numpy", "pip"), python="3.13"),
    "bare-root": Recipe(("root==0.1a12", "dask", "distributed", "pip")),
    **{f"dask-{release}": Recipe((f"dask=={release}", f"distributed=={release}", *CURRENT)) for release in RELEASES},
}


class NotInstalled(RuntimeError):
    """The packages or the Python can't be had here."""


def interpreter(name: str) -> Path:
    """The interpreter of one of these environments.

    Raises
    ------
    NotInstalled
        It can't be made.
    """
    return made(name, ENVIRONMENTS[name])


def made(name: str, recipe: Recipe) -> Path:
    """The interpreter of an environment, made once for each list of what is in it.

    Raises
    ------
    NotInstalled
        It can't be made; the last thing that was said is the reason.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cachingclient-tests"
    digest = hashlib.sha256(" ".join(recipe.packages).encode()).hexdigest()[:8]
    place = folder / f"{name}-{recipe.python}-{digest}"
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        uv = [sys.executable, "-m", "uv", "--quiet", "--no-python-downloads"]
        make = [*uv, "venv", "--clear", "--python", find_python(recipe.python), str(place)]
        for command in (make, [*uv, "pip", "install", "--compile-bytecode", "--python", str(python), *recipe.packages]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                said = (done.stderr or done.stdout).strip().splitlines() or ["nothing was said"]
                raise NotInstalled(f"the environment {name} can't be installed here: {said[-1]}")
        (place / "complete").touch()
    return python


def find_python(version: str) -> str:
    """The first interpreter of a version that runs; what a shim of pyenv stands for may not be set up.

    Raises
    ------
    NotInstalled
        There is none.
    """

    def candidates() -> Iterator[str | None]:
        if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
            yield sys.executable
        yield shutil.which(f"python{version}")
        versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        yield from map(str, versions.glob(f"{version}.*/bin/python"))

    for candidate in candidates():
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    raise NotInstalled(f"there is no Python {version} here")
