"""Upstream's projects: which suites are run of each, and how their tests are laid out to run with what is installed."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

IGNORED = "ignore::cachingclient.warn_once.CacheWarning", "ignore::pytest.PytestUnknownMarkWarning"
"""Our warnings, and marks of plug-ins that are not installed, such as a limit of time of its own."""


@dataclass(frozen=True)
class Project:
    """A project whose tests are run.

    Parameters
    ----------
    folders
        Where its tests are.
    suites
        Patterns of the suites that are run unless others are named.
    served
        Whether its tests ask for dask's schedulers, in the place of which they get a client of the session.
    marked
        Which marks its tests must have, as `pytest -m` takes it.
    """

    folders: tuple[str, ...]
    suites: tuple[str, ...]
    served: bool = False
    marked: str = ""

    def unfold(self, source: Path, into: Path) -> Path:
        """Have the project's tests, and nothing else of it, in a folder; return the settings that they run with.

        The folders of tests are no packages there: what is imported of the project is what is installed.
        """
        skipped = shutil.ignore_patterns("__init__.py", "__pycache__")
        for pattern in self.folders:
            for found in source.glob(pattern):
                shutil.copytree(found, into / found.relative_to(source), ignore=skipped, dirs_exist_ok=True)
        for conftest in {*source.glob("conftest.py"), *source.glob("*/conftest.py")}:
            (into / conftest.relative_to(source)).parent.mkdir(exist_ok=True)
            shutil.copy(conftest, into / conftest.relative_to(source))
        settings = tomllib.loads((source / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
        lines = ["[pytest]", "markers =", *(f"    {marker}" for marker in settings.get("markers", []))]
        lines += ["filterwarnings =", *(f"    {each}" for each in (*settings.get("filterwarnings", []), *IGNORED))]
        path = into / "pytest.ini"
        path.write_text("\n".join(lines) + "\n")
        return path

    def find(self, folder: Path, names: Iterable[str] = ()) -> list[str]:
        """Return the suites of an unfolded project, by their paths: those that are named, or all that are meant."""
        patterns = [f"**/{name}.py" for name in names] or list(self.suites)
        found = {path: None for pattern in patterns for path in sorted(folder.glob(pattern))}
        return [str(path.relative_to(folder)) for path in found]


_CLIENT = (
    *("cancelled_state", "actor", "variable", "queues", "publish", "collections", "worker_client", "as_completed"),
    *("client_executor", "failed_workers", "resources", "priorities", "spans", "computations", "events", "locks"),
    *("steal", "client"),
)
PROJECTS = {
    "distributed": Project(("distributed/tests",), tuple(f"distributed/tests/test_{name}.py" for name in _CLIENT)),
    "dask": Project(
        ("dask/**/tests",),
        (
            "dask/tests/test_delayed.py",
            "dask/bag/tests/test_*.py",
            "dask/array/tests/test_[!c]*.py",
            "dask/array/tests/test_c[!u]*.py",  # cupy needs another machine
            "dask/dataframe/tests/test_*.py",
            "dask/dataframe/dask_expr/tests/test_*.py",
        ),
        served=True,
    ),
    "coffea": Project(
        ("tests",),
        (
            "tests/test_dask_client_fixture.py",
            "tests/test_dataset_tools.py",
            "tests/test_dataset_tools_parquet.py",
            "tests/test_jetmet_tools.py",
            "tests/test_ml_tools.py",
            "tests/test_nanoevents.py",
        ),
        marked="dask_client and not network",
    ),
}


def of_index(project: str) -> Path:
    """Return the source distribution of the release that is installed, unpacked; it is fetched once and kept.

    Raises
    ------
    OSError
        If it can't be had; the last that was said is the reason.
    """
    name = f"{project}-{importlib.metadata.version(project)}"
    into = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cachingclient-tests"
    if not (into / name).is_dir():
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=into) as temporary:
            pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
            wanted = ["--no-binary", project, "-d", temporary, name.replace("-", "==")]
            done = subprocess.run([*pip, *wanted], capture_output=True, text=True, check=False)
            if done.returncode:
                said = done.stderr.strip().splitlines() or ["nothing was said"]
                raise OSError(f"the source distribution of {name} can't be had: {said[-1]}")
            with tarfile.open(Path(temporary, f"{name}.tar.gz")) as archive:
                archive.extractall(temporary, filter="data")
            # Another test run may have been quicker.
            if not (into / name).is_dir():
                os.replace(Path(temporary, name), into / name)
    return into / name
