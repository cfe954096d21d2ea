"""A real environment with an editable analysis, made once, as users have them."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import distributed
import pytest

ROOT = Path(__file__).parents[2]
PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "cuts"
version = "0.1"
[project.scripts]
pt-cut = "cuts:main"
[tool.hatch.build.targets.wheel]
packages = ["src/cuts"]
"""
MODULE = "PT = 25\n\n\ndef passes(pt):\n    return pt > PT\n\n\ndef main():\n    print(PT)\n"


@dataclass(frozen=True)
class Made:
    """An environment: its folder, the source of its editable package, and where it is packed into."""

    prefix: Path
    source: Path
    kept: Path

    @property
    def module(self) -> Path:
        """The module of the editable package."""
        return self.source / "src" / "cuts" / "__init__.py"

    def run(self, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run one of its programs."""
        program, *rest = arguments
        # Without our own path, which would be its too.
        clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        environment = clean | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"} | variables
        command = [str(self.prefix / "bin" / program), *map(str, rest)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=self.prefix.parent)

    def python(self, code: str, **variables: str) -> str:
        """Run Python there; what it prints."""
        done = self.run("python", "-c", code, **variables)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.strip()

    def lock(self) -> str:
        """The digest of what it holds."""
        return self.python("from cachingclient.environments.lock import read_lock; print(read_lock().digest)")


def call(*command: Any, cwd: Path | None = None) -> None:
    """Run a program that has to succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr[-3000:]


def commit(source: Path) -> None:
    """Commit all that is in a folder."""
    who = ("-c", "user.name=alice", "-c", "user.email=alice@example.org")
    call("git", "init", "-q", source)
    call("git", "-C", source, "add", ".")
    call("git", "-C", source, *who, "commit", "-q", "-m", "an analysis")


def make(folder: Path) -> Made:
    """Make an environment with this package, what it needs, and an editable package; skips without an index."""
    source = folder / "analysis"
    (source / "src" / "cuts").mkdir(parents=True)
    (source / "pyproject.toml").write_text(PROJECT)
    made = Made(folder / "env", source, folder / "kept")
    made.module.write_text(MODULE)
    commit(source)
    uv = [sys.executable, "-m", "uv"]
    call(*uv, "venv", "--quiet", "--python", sys.executable, made.prefix)
    packages = [f"dask=={dask.__version__}", f"distributed=={distributed.__version__}", "cryptography", "venv-pack"]
    editable = ["--editable", ROOT, "--editable", source]
    into = [*uv, "pip", "install", "--quiet", "--python", made.prefix / "bin" / "python"]
    done = subprocess.run([*map(str, into), *packages, *map(str, editable)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"an environment can't be made without an index of packages: {done.stderr.strip()[-300:]}")
    return made


def linked_archive(folder: Path) -> Path:
    """A virtual environment as venv-pack packs it; its libraries stay where they are, to be small."""
    venv.create(folder / "linked", symlinks=True)
    (libraries,) = (folder / "linked" / "lib").glob("python*/site-packages")
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    (libraries / "there.pth").write_text(f"{ours}\n{ROOT}\n")
    with tarfile.open(folder / "linked.tar.gz", "w:gz") as packed:
        for path in (folder / "linked").iterdir():
            packed.add(path, path.name)
    return folder / "linked.tar.gz"
