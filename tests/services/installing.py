"""Servers that are Python programs, each in a virtual environment of its own that is made once and kept."""

from __future__ import annotations

import fcntl
import os
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

import pytest


def server_python(name: str, *packages: str | Path, prepare: Callable[[Path], None] | None = None) -> Path:
    """The interpreter of a virtual environment with exactly these packages.

    Parameters
    ----------
    name
        What it is called, with a version: in the user's cache folder, or where ``CACHINGCLIENT_TEST_<NAME>`` says.
    packages
        Requirements, or files of them, whole: nothing else is resolved.
    prepare
        Is called with the interpreter once all is installed.
    """
    variable = f"CACHINGCLIENT_TEST_{name.partition('-')[0].upper()}"
    folder = Path(os.environ.get(variable) or f"~/.cache/cachingclient-tests/{name}").expanduser()
    python, complete = folder / "bin" / "python", folder / "complete"
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Another test run may be installing the same.
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if complete.exists():
            return python
        print(f"\ninstalling {name} into {folder}")
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check"]
        for package in packages:
            install += ["-r", str(package)] if isinstance(package, Path) else [package]
        done = subprocess.run(install, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"{name} can't be installed from the package index: {done.stderr[-500:]}")
        if prepare is not None:
            prepare(python)
        complete.touch()
    return python
