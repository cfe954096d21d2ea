"""The program that unpacks an environment at a host: what it keeps, what it refuses, and what it says then."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

from cachingclient.environments.environment import ENTER

PYTHON = "python={}.{}".format(*sys.version_info[:2])


class Host:
    """A host with a folder for environments, and archives that are sent to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept = folder / "kept"
        venv.create(folder / "env", symlinks=True)

    def archive(self, mark: str, size: int = 0) -> Path:
        """Pack the environment, with a mark in it."""
        (self.folder / "env" / "mark").write_text(mark)
        (self.folder / "env" / "size").write_bytes(os.urandom(size))
        with tarfile.open(self.folder / f"{mark}.tar.gz", "w:gz") as packed:
            for path in (self.folder / "env").iterdir():
                packed.add(path, path.name)
        return self.folder / f"{mark}.tar.gz"

    def command(self, archive: Path, *arguments: str, shell: str = "sh") -> list[str]:
        """Run Python in it."""
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        return [shell, "-c", ENTER, "enter.sh", digest, str(archive), PYTHON, *arguments]

    def enter(self, archive: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python in it, to its end."""
        environment = {**os.environ, "CACHINGCLIENT_ENVIRONMENTS": str(self.kept), **variables}
        return subprocess.run(self.command(archive, *arguments), capture_output=True, text=True, env=environment)

    def marks(self) -> list[str]:
        """The marks of those that are kept."""
        return sorted(path.read_text() for path in self.kept.glob("*/mark"))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_python_runs_in_it(host: Host, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules and programs are its own, whatever was on the paths before."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    monkeypatch.setenv("CACHINGCLIENT_ENVIRONMENTS", str(host.kept))
    monkeypatch.setenv("PYTHONPATH", str(host.folder))
    code = "import shutil, sys; print(sys.prefix, shutil.which('python'), 'PYTHONPATH' in __import__('os').environ)"
    archive = host.archive("one")
    done = subprocess.run(host.command(archive, "-c", code, shell=shell), capture_output=True, text=True)
    home = host.kept / hashlib.sha256(archive.read_bytes()).hexdigest()
    assert done.stdout.split() == [str(home), str(home / "bin" / "python"), "False"], done.stderr


def test_the_last_three_and_those_in_use_are_kept(host: Host) -> None:
    """A worker's own stays under it however many come after."""
    waits = host.command(host.archive("used"), "-c", "print('runs', flush=True); input()")
    environment = {**os.environ, "CACHINGCLIENT_ENVIRONMENTS": str(host.kept)}
    pipe = subprocess.PIPE
    with subprocess.Popen(waits, stdin=pipe, stdout=pipe, text=True, env=environment) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "runs\n"
        for mark in ("a", "b", "c", "d"):
            assert host.enter(host.archive(mark), "-c", "").returncode == 0
        assert host.marks() == ["b", "c", "d", "used"]
        worker.communicate("\n")
    host.enter(host.archive("e"), "-c", "")
    assert host.marks() == ["c", "d", "e"]


def test_a_full_disk_is_said(host: Host, small_disk: Path) -> None:
    """Nothing half unpacked stays there; once there is room, it is unpacked."""
    host.kept = small_disk / "kept"
    done = host.enter(host.archive("large", 3_000_000), "-c", "")
    assert done.returncode == 3
    assert f"the environment can't be unpacked in {host.kept}: is the disk full?" in done.stderr
    assert [path.name for path in host.kept.iterdir()] == [".lock"]
    assert host.enter(host.archive("small"), "-c", "print('ran')").stdout == "ran\n"


def test_an_archive_that_can_not_be_read_is_named(host: Host, tmp_path: Path) -> None:
    """A host that does not see the folder says so."""
    archive = host.archive("one")
    command = host.command(archive, "-c", "")
    archive.rename(tmp_path / "elsewhere")
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 3
    assert f"the environment is not at {archive}: the folder has to be shared with this host" in done.stderr


def test_a_virtual_environment_takes_a_python_of_its_version(host: Host, tmp_path: Path) -> None:
    """Where the one is missing that it was made of; without any, the host says which."""
    env = host.folder / "env"
    base = Path(os.path.realpath(sys.executable))
    for link in env.glob("bin/python*"):
        link.unlink()
        link.symlink_to(f"/nowhere/bin/{base.name}")
    configuration = (env / "pyvenv.cfg").read_text().splitlines()
    moved = ["home = /nowhere/bin" if line.startswith("home") else line for line in configuration]
    (env / "pyvenv.cfg").write_text("\n".join(moved) + "\n")
    archive = host.archive("moved")
    version = "python{}.{}".format(*sys.version_info[:2])
    missing = host.enter(archive, "-c", "", PATH=programs_without_python(tmp_path))
    assert missing.returncode == 3
    assert f"the environment takes {version}, which is neither in /nowhere/bin nor on the path" in missing.stderr
    found = host.enter(
        archive, "-c", "import sys, json; print(sys.prefix, sys.base_prefix)", PATH=f"{base.parent}:/usr/bin:/bin"
    )
    assert found.stdout.split() == [str(next(host.kept.glob("*/mark")).parent), sys.base_prefix], found.stderr


def programs_without_python(folder: Path) -> str:
    """A path with what the program needs, and no Python."""
    needed = "cut flock gzip head id ln ls mkdir mv rm sed sh sha256sum tail tar touch uname"
    (folder / "programs").mkdir()
    for name in needed.split():
        (folder / "programs" / name).symlink_to(str(shutil.which(name)))
    return str(folder / "programs")


def test_scripts_of_condas_packages_are_run(host: Host) -> None:
    """They set variables that libraries need."""
    scripts = host.folder / "env" / "etc" / "conda" / "activate.d"
    scripts.mkdir(parents=True)
    (scripts / "root.sh").write_text('export ROOTSYS="$CONDA_PREFIX/root"\n')
    done = host.enter(host.archive("conda"), "-c", "import os, sys; print(os.environ['ROOTSYS'], sys.argv[1:])", "a b")
    assert done.stdout == f"{next(host.kept.glob('*/mark')).parent}/root ['a b']\n", done.stderr


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ("python=2.7", "the environment has python {}.{}, where the cluster has 2.7: pack it again"),
        (f"{PYTHON},dask=1.0,cachingclient=abc", "the environment has no dask, and no cachingclient: pack it again"),
    ],
)
def test_versions_that_differ_are_said(host: Host, expected: str, said: str) -> None:
    """What is missing and what is another."""
    command = [expected if word == PYTHON else word for word in host.command(host.archive("one"), "-c", "")]
    environment = {**os.environ, "CACHINGCLIENT_ENVIRONMENTS": str(host.kept)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 3
    assert said.format(*sys.version_info[:2]) in done.stderr
