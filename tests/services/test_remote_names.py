"""One file under many names on real XRootD servers: by two names, in a copy, through a proxy with a cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("coffea.processor")

import dask
from coffea.nanoevents import NanoAODSchema

from cachingclient import DiracClient
from cachingclient.hashing.identify import identify
from cachingclient.hashing.inputs import xrootd as asked
from cachingclient.hashing.inputs.inputs import File, Inputs
from tests.coffea.conftest import write_events
from tests.coffea.names import CHUNKS, Runs, patch
from tests.services.xrootd import XRootD, XRootDProxy
from tests.support.entries import new_key

OPTIONS: dict[str, Any] = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    monkeypatch.setattr(NanoAODSchema, "warn_missing_crossrefs", False)
    monkeypatch.setattr(asked, "PATIENCE", 60.0)  # a busy machine takes its time
    monkeypatch.setattr(asked, "_silent", {})

    def make_client() -> DiracClient:
        return DiracClient(**OPTIONS, cache=f"file://{tmp_path}/cache", policy="all")

    with dask.config.set({"cachingclient.unobserved": ["*/log"]}):
        yield Runs(make_client, tmp_path / "log")


@pytest.fixture
def home(xrootd_service: XRootD) -> Path:
    """A folder of the server with a file of events."""
    folder = xrootd_service.folder / "data" / new_key()[:8]
    folder.mkdir()
    folder.chmod(0o777)  # the server writes checksums beside the files
    write_events(folder / "events.root", 1, compression=None).chmod(0o666)
    return folder


@pytest.fixture(scope="module")
def proxy(xrootd_service: XRootD, tmp_path_factory: pytest.TempPathFactory) -> Iterator[XRootDProxy]:
    from tests.services.conftest import service_folder

    with service_folder() as folder, XRootDProxy(folder, xrootd_service) as service:
        yield service


def names(service: XRootD, file: Path) -> tuple[str, str]:
    """Return two names of a file on a server."""
    path = file.relative_to(service.folder / "data")
    return f"root://127.0.0.1:{service.port}//{path}", f"root://localhost:{service.port}//{path}"


def edit(file: Path, later: int = 1_000_000_000) -> None:
    """Change events in place, with a time that is so much later: a server compares it in whole seconds."""
    changed = file.stat().st_mtime_ns + later
    patch(file, file, values=100)
    os.utime(file, ns=(changed, changed))


def test_two_names_and_a_copy(run: Runs, xrootd_service: XRootD, home: Path, tmp_path: Path) -> None:
    """The server's checksum proves it, also of a file that is edited in place and keeps its identifier and size."""
    one, other = names(xrootd_service, home / "events.root")
    first, ran = run(one)
    assert ran == CHUNKS
    local = shutil.copy(home / "events.root", tmp_path / "local.root")
    again, ran = run(other, local)
    assert (ran, again["out"]["jets"]) == (0, 2 * first["out"]["jets"])
    edit(home / "events.root")
    changed, ran = run(one)
    assert ran == CHUNKS
    assert changed["out"]["jets"] != first["out"]["jets"]
    same, ran = run(other)
    assert (ran, same["out"]["jets"]) == (0, changed["out"]["jets"])


def test_through_a_proxy(run: Runs, xrootd_service: XRootD, proxy: XRootDProxy, home: Path) -> None:
    """What was read at the origin is found; what came through it is offered to nobody: it may send what is old."""
    file = home / "events.root"
    origin = names(xrootd_service, file)[0]
    through, also_through = names(proxy, proxy.folder / "data" / home.name / file.name)
    before, ran = run(origin)
    assert ran == CHUNKS
    same, ran = run(through)
    assert (ran, same["out"]) == (0, before["out"])
    told = Inputs().of(origin), Inputs().of(through)
    assert [each and each.relayed for each in told] == [False, True]
    proxy.read(f"/{home.name}/{file.name}")  # which it keeps
    edit(file)
    old, ran = run(also_through)
    assert ran == CHUNKS
    now, ran = run(origin)
    assert ran == CHUNKS
    assert now["out"]["jets"] != old["out"]["jets"] == before["out"]["jets"]


def test_a_checksum_counts_in_place_of_a_time(xrootd_service: XRootD, home: Path) -> None:
    """A file that is only touched is the same; `File` gives one of the same content the same identity, and no other."""
    file = home / "events.root"
    one, other = names(xrootd_service, file)
    edited = Path(shutil.copy2(file, home / "edited.root"))
    patch(edited, file, values=100)
    edited.chmod(0o666)
    before = identify(one).digest
    file.touch()
    assert identify(one).digest == before
    first, second, third = (identify(File(url)).digest for url in (one, other, names(xrootd_service, edited)[0]))
    assert first == second != third


def test_a_server_keeps_a_checksum_while_the_second_of_the_time_stays(xrootd_service: XRootD, home: Path) -> None:
    """So an edit of a file is seen by it in the next second, and not in that in which the file was asked for."""
    file = home / "events.root"
    one = names(xrootd_service, file)[0]
    before = identify(one).digest
    edit(file, later=0)
    assert identify(one).digest == before
    edit(file)
    assert identify(one).digest != before


def test_a_server_that_tells_no_checksum_is_left_alone(
    xrootd_service: XRootD, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time counts then."""
    one = names(xrootd_service, home / "events.root")[0]
    query = asked.client.FileSystem.query

    def ask_and_hear_nothing(system: Any, code: int, path: str, patience: int, answer: object) -> Any:
        return query(system, code, path, patience, lambda *told: None)

    monkeypatch.setattr(asked.client.FileSystem, "query", ask_and_hear_nothing)
    monkeypatch.setattr(asked, "PATIENCE", 0.0)
    monkeypatch.setattr(asked, "_silent", {})
    seen = Inputs().of(one)
    assert seen is not None
    assert (seen.sums, (seen.checksum or "").isdecimal()) == ((), True)
    assert list(asked._silent) == [f"127.0.0.1:{xrootd_service.port}"]
