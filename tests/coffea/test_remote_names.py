"""One remote file under many names in a stock run of coffea: found where its servers prove that it is the same file."""

from __future__ import annotations

import functools
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("coffea.processor")

import awkward as ak
from coffea.nanoevents import NanoAODSchema
from coffea.processor.executor import FileMeta, WorkItem, _compress, _decompress

from cachingclient import DiracClient, step
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.inputs.same_content import Held
from cachingclient.hashing.libraries.coffea_chunks import ChunkCall, without_signature
from tests.coffea.conftest import write_events
from tests.coffea.names import CHUNKS, Runs, make_processor, patch
from tests.support.web_files import Site, as_others, as_s3, site

OPTIONS: dict[str, Any] = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NanoAODSchema, "warn_missing_crossrefs", False)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def run(tmp_path: Path) -> Runs:
    def make_client() -> DiracClient:
        return DiracClient(**OPTIONS, cache=f"file://{tmp_path}/cache", policy="all")

    return Runs(make_client, tmp_path / "log")


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Site]:
    """A server of a folder with a file of events."""
    (tmp_path / "web").mkdir()
    write_events(tmp_path / "web" / "events.root", 1, compression=None)
    with site(tmp_path / "web") as here:
        yield here


def edited(web: Site, name: str = "edited.root") -> Path:
    """Return a copy of the file with its identifier, its size and its time, and other events."""
    file = Path(shutil.copy2(web.folder / "events.root", web.folder / name))
    patch(file, web.folder / "events.root", values=100)
    return file


def test_signed_urls_other_hosts_and_copies(run: Runs, web: Site, tmp_path: Path) -> None:
    """What S3 says of a file proves that it is the one of before, wherever it lies now; no signature is kept."""
    web.is_signed = True
    local = shutil.copy(web.folder / "events.root", tmp_path / "local.root")
    shutil.copy(web.folder / "events.root", web.folder / "copy.root")
    first, ran = run(web.url("events.root", signature="SECRET-1"))
    assert ran == CHUNKS
    names = [
        web.url("events.root", signature="SECRET-2"),
        web.url("events.root", "localhost", "SECRET-3"),
        web.url("copy.root", signature="SECRET-4"),
        local,
    ]
    again, ran = run(*names)
    assert ran == 0
    assert again["out"]["jets"] == len(names) * first["out"]["jets"]
    kept = [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert kept
    assert not [file for file in kept if b"SECRET" in file.read_bytes()]


def test_an_edited_file_runs(run: Runs, web: Site) -> None:
    """Under another name, and in its old place: with the identifier, the size and the time of the one before."""
    first, ran = run(web.url("events.root"))
    assert ran == CHUNKS
    file = edited(web)
    other, ran = run(web.url("edited.root"))
    assert (ran, other["out"]["jets"] == first["out"]["jets"]) == (CHUNKS, False)
    patch(file, file, 5.0, values=100)
    file.rename(web.folder / "events.root")
    third, ran = run(web.url("events.root"), web.url("events.root", "localhost"))
    assert ran == CHUNKS
    assert third["out"]["jets"] not in (2 * first["out"]["jets"], 2 * other["out"]["jets"])


@step
def jets_over(events: Any) -> int:
    """Count jets in a step inside a processor."""
    return int(ak.sum(events.Jet.pt > 30))


def test_steps_see_an_edited_file(run: Runs, web: Site) -> None:
    """Events of it that are not read yet are others for a step, under another name and in its old place."""
    used = (make_processor(jets_over),)
    first, _ = run(web.url("events.root"), used=used)
    file = edited(web)
    other, _ = run(web.url("edited.root"), used=used)
    file.rename(web.folder / "events.root")
    third, _ = run(web.url("events.root"), used=used)
    for found in (first, other, third):
        assert sum(found["out"]["found"]) == found["out"]["jets"]
    assert first["out"]["jets"] != other["out"]["jets"] == third["out"]["jets"]


def test_a_local_file_is_found_on_a_server(run: Runs, web: Site, tmp_path: Path) -> None:
    """As long as it is there to be compared."""
    local = Path(shutil.copy(web.folder / "events.root", tmp_path / "local.root"))
    first, ran = run(local)
    assert ran == CHUNKS
    edited(web)
    second, ran = run(web.url("events.root"))
    assert (ran, second["out"]) == (0, first["out"])
    assert run(web.url("edited.root"))[1] == CHUNKS


def test_an_etag_of_a_time_and_a_size_proves_nothing(run: Runs, web: Site) -> None:
    """It looks like a checksum, and another file has the same: each name counts for itself."""
    web.says = as_others
    edited(web)
    assert as_others(web.folder / "events.root") == as_others(web.folder / "edited.root")
    first, ran = run(web.url("events.root"))
    second, also = run(web.url("edited.root"))
    assert (ran, also) == (CHUNKS, CHUNKS)
    assert first["out"]["jets"] != second["out"]["jets"]
    assert run(web.url("events.root"))[1] == 0


def test_what_came_through_a_cache_is_offered_to_no_other_name(run: Runs, web: Site) -> None:
    """A cache may send an old copy and tell a new checksum. It may be found what was read at the origin."""

    def digest(file: Path) -> dict[str, str]:
        told = hashlib.sha256(file.read_bytes()).hexdigest()
        return {"ETag": '"1"', "Digest": f"sha-256={told}"}

    web.says = lambda file: {**digest(file), "Via": "1.1 cache"}
    assert run(web.url("events.root"))[1] == CHUNKS
    web.says = digest
    assert run(web.url("events.root", "localhost"))[1] == CHUNKS
    web.says = lambda file: {**digest(file), "Via": "1.1 cache"}
    shutil.copy(web.folder / "events.root", web.folder / "copy.root")
    assert run(web.url("copy.root"))[1] == 0


def test_a_file_that_changes_while_it_is_read_is_offered_to_nobody(web: Site) -> None:
    """What its server says is compared with what it said before the run; nor may a cache have come between."""
    url = web.url("events.root")
    seen = Inputs().of(url)
    held = None if seen is None else Held.of_remote(seen)
    assert held is not None
    chunk = ChunkCall(len, WorkItem("ttbar", url, "Events", 0, 30, b"1" * 16, {}), None, held)
    assert chunk.still_held() == held
    web.says = lambda file: {**as_s3(file), "Age": "7"}
    assert chunk.still_held() is None
    web.says = as_s3
    edited(web, "edited.root").rename(web.folder / "events.root")
    assert chunk.still_held() is None


def test_a_signed_name_stays_out_of_what_is_kept(web: Site) -> None:
    """A result that says which file was processed has its URL alone; coffea's look at a file is not kept."""
    url = web.url("events.root", signature="SECRET")
    item = WorkItem("ttbar", url, "Events", 0, 30, b"1" * 16, {})
    for level in (None, 1):
        function = functools.partial(len)
        function.level = level  # type: ignore[attr-defined]
        packed = _compress({"out": 1, "processed": {item}}, level)
        result = _decompress(without_signature(function, ((item, None),), packed))
        assert [each.filename for each in result["processed"]] == [web.url("events.root")]
        assert result["out"] == 1
    with pytest.raises(Unidentifiable, match=r"events\.root, whose signature") as refused:
        identify(FileMeta("ttbar", url, "Events"))
    assert "SECRET" not in str(refused.value)
    assert identify(FileMeta("ttbar", web.url("events.root"), "Events"))
