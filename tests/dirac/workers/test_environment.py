"""What workers run in: packed environments are unpacked once and checked, modules travel along."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from distributed import Client

from cachingclient.dirac.workers.cluster import DiracCluster
from cachingclient.environments.environment import Environment, pack
from cachingclient.vine import VineCluster
from tests.dirac.jobs_here import JobsHere
from tests.environments.made import linked_archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment as venv-pack packs it; its libraries stay where they are, to be small."""
    return linked_archive(tmp_path_factory.mktemp("environment"))


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where environments are kept."""
    monkeypatch.setenv("CACHINGCLIENT_ENVIRONMENTS", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def web(archive: Path) -> Iterator[str]:
    """The archive's URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(archive.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{archive.name}"
    server.shutdown()


def environments(kept: Path) -> list[str]:
    """The names of those that are kept."""
    return [path.name for path in kept.iterdir() if not path.name.startswith(".")]


def enter(environment: Environment, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in an environment as a job does, in the folder of its files."""
    program, first = environment.command()
    for name, content in environment.files().items():
        (folder / name).write_bytes(content)
    return subprocess.run(["sh", program, *first, *arguments], cwd=folder, capture_output=True, text=True)


def test_workers_run_in_a_packed_environment(archive: Path, kept: Path, tmp_path: Path) -> None:
    """It is kept under the digest of its contents, and both workers run in the same."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    environment = Environment(packed=str(archive))
    with (
        JobsHere(tmp_path / "jobs") as api,
        DiracCluster(server=api, environment=environment, poll=0.2, death_timeout=60, n_workers=2) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(2, timeout=300)
        assert set(client.run(lambda: sys.prefix).values()) == {str(kept / digest)}
    assert environments(kept) == [digest]


def test_a_site_of_a_vine_cluster_runs_in_it(archive: Path, kept: Path, tmp_path: Path) -> None:
    """The cluster's environment is that of its sites of DIRAC too."""
    environment = Environment(packed=str(archive))
    with JobsHere(tmp_path / "jobs") as api:
        options = {"server": api, "poll": 0.2, "death_timeout": 60}
        site = {"LCG.Here.uk": {"how": "dirac", "options": options}}
        with VineCluster(site, host="127.0.0.1", environment=environment) as cluster, Client(cluster) as client:
            client.wait_for_workers(1, timeout=300)
            assert set(client.run(lambda: sys.prefix).values()) == {str(kept / environment.archive_digest)}


def test_an_environment_is_unpacked_once(archive: Path, kept: Path, tmp_path: Path) -> None:
    """The next job at the worker node finds it, and what was put beside it meanwhile."""
    environment = Environment(packed=str(archive))
    assert enter(environment, tmp_path, "-c", "print('first')").stdout == "first\n"
    (name,) = environments(kept)
    unpacked = kept / name
    (unpacked / "mark").touch()
    assert enter(environment, tmp_path, "-c", "print('second')").stdout == "second\n"
    assert environments(kept) == [unpacked.name]
    assert (unpacked / "mark").exists()
    assert kept.stat().st_mode & 0o777 == 0o700


def test_jobs_that_unpack_at_once_agree(archive: Path, kept: Path, tmp_path: Path) -> None:
    """Four jobs that begin together all run, and one environment is left."""
    environment = Environment(packed=str(archive))
    enter(environment, tmp_path, "-c", "")
    (name,) = environments(kept)
    unpacked = kept / name
    subprocess.run(["rm", "-rf", unpacked], check=True)
    program, first = environment.command()
    command = ["sh", program, *first, "-c", "print('ran')"]
    jobs = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [job.communicate()[0] for job in jobs] == ["ran\n"] * 4
    assert environments(kept) == [unpacked.name]


def test_an_environment_is_fetched_from_a_url(web: str, archive: Path, kept: Path, tmp_path: Path) -> None:
    """By its digest; another's contents are refused, and nothing of them is kept."""
    right = Environment(packed=web, digest=hashlib.sha256(archive.read_bytes()).hexdigest())
    wrong = Environment(packed=web, digest="0" * 64)
    assert enter(right, tmp_path, "-c", "print('ran')").stdout == "ran\n"
    done = enter(wrong, tmp_path, "-c", "print('ran')")
    assert done.returncode == 3
    assert f"has the digest {right.digest}; it takes {wrong.digest}" in done.stderr
    assert environments(kept) == [right.digest]


def test_a_url_that_is_not_there_is_said(web: str, kept: Path, tmp_path: Path) -> None:
    """The job ends with the address in its last words."""
    done = enter(Environment(packed=web + "x", digest="0" * 64), tmp_path)
    assert done.returncode == 3
    assert f"the environment could not be fetched from {web}x" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a folder another's")
def test_a_folder_of_another_user_is_not_trusted(archive: Path, kept: Path, tmp_path: Path) -> None:
    """Whoever can write there could put programs of theirs into our jobs."""
    kept.mkdir()
    os.chown(kept, 12345, 12345)
    done = enter(Environment(packed=str(archive)), tmp_path, "-c", "print('ran')")
    assert done.returncode == 3
    assert "belongs to another user" in done.stderr


def test_modules_are_packed_the_same_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages with what lies in them, single modules, no compiled files, and no times of files."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_package" / "__pycache__").mkdir(parents=True)
    (tmp_path / "own_package" / "__init__.py").write_text("")
    (tmp_path / "own_package" / "table.csv").write_text("1,2\n")
    (tmp_path / "own_package" / "__pycache__" / "__init__.pyc").write_text("")
    (tmp_path / "own_module.py").write_text("x = 1\n")
    first = pack(["own_package", "own_module"])
    os.utime(tmp_path / "own_module.py", (0, 0))
    assert pack(["own_package", "own_module"]) == first
    names = zipfile.ZipFile(io.BytesIO(first)).namelist()
    assert names == ["own_package/__init__.py", "own_package/table.csv", "own_module.py"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"packed": "/no/such/file"}, "packed is '/no/such/file'; it takes a URL or a file here"),
        ({"packed": __file__, "container": "image"}, "container and packed are both given"),
        ({"modules": "numpy"}, "modules is 'numpy'; it takes a list of names"),
    ],
)
def test_options_that_make_no_sense_are_said(options: dict[str, str], said: str) -> None:
    """The error names the option, what it got and what it takes."""
    with pytest.raises(ValueError) as error:
        Environment(**options)  # type: ignore[arg-type]
    assert said in str(error.value)


def test_modules_that_are_no_files_are_said() -> None:
    """A module that is built into Python can't be sent."""
    with pytest.raises(ValueError, match="modules has 'sys', which is built into Python"):
        pack(["sys"])
