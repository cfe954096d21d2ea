"""One file under many names in a stock run of coffea: found where the code can't see the name, never where it may."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import pytest

processor = pytest.importorskip("coffea.processor")

from coffea.nanoevents import NanoAODSchema  # noqa: E402
from coffea.processor.executor import WorkItem  # noqa: E402

from cachingclient.hashing.inputs.same_content import Held  # noqa: E402
from cachingclient.hashing.libraries.coffea_chunks import ChunkCall  # noqa: E402
from cachingclient.storage import open_store  # noqa: E402
from tests.coffea.conftest import write_events  # noqa: E402
from tests.coffea.names import CHUNKS, Runs, make_processor, patch  # noqa: E402

if TYPE_CHECKING:
    from cachingclient import DiracClient

LONG_AGO = 1_700_000_000_123_456_789
"""So long that a file counts by its time; what was written just now counts by its content."""


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NanoAODSchema, "warn_missing_crossrefs", False)


@pytest.fixture
def run(make_client: Callable[..., DiracClient], tmp_path: Path) -> Runs:
    """Run processors over files in one session; gives the result of each, and how often process ran in all."""
    return Runs(make_client, tmp_path / "log")


def names_of(file: Path) -> dict[str, str]:
    """Return several ways to name a file, each of which leads to it or to a copy."""
    folder = file.parent / "names"
    folder.mkdir()
    (folder / "link.root").symlink_to(file)
    os.link(file, folder / "hard.root")
    (folder / "data").symlink_to(file.parent)
    shutil.copy(file, folder / "copy.root")
    shutil.copy2(file, folder / "archive.root")
    return {
        "relative": os.path.relpath(file),
        "file://": file.as_uri(),
        "symlink": str(folder / "link.root"),
        "hard link": str(folder / "hard.root"),
        "by a linked folder": str(folder / "data" / file.name),
        "copy": str(folder / "copy.root"),
        "copy with its time": str(folder / "archive.root"),
    }


@pytest.mark.parametrize("entries", [60, 4000], ids=["small", "large"])
def test_each_name_finds_what_another_made(entries: int, run: Callable[..., Any], tmp_path: Path) -> None:
    """The processed items have the names of this run, and what was found is kept under them."""
    file = write_events(tmp_path / "events.root", 1, entries)
    first, ran = run(file, entries=entries)
    assert ran == CHUNKS
    names = names_of(file)
    for _ in range(2):
        result, ran = run(*names.values(), entries=entries)
        assert ran == 0
        assert result["out"]["jets"] == len(names) * first["out"]["jets"]
        assert result["out"]["ttbar"] == len(names) * entries
        assert {item.filename for item in result["processed"]} == set(names.values())
        assert len(result["processed"]) == len(names) * CHUNKS


def test_a_file_that_was_moved_is_found(run: Callable[..., Any], tmp_path: Path) -> None:
    """A copy that is no small file has to be compared with the first, which is gone: that runs."""
    file = write_events(tmp_path / "events.root", 1, 4000)
    os.utime(file, ns=(LONG_AGO, LONG_AGO))
    first, ran = run(file, entries=4000)
    assert ran == CHUNKS
    copy = shutil.copy(file, tmp_path / "copy.root")
    moved = file.rename(tmp_path / "moved.root")
    again, ran = run(moved, copy, entries=4000)
    assert ran == CHUNKS
    assert again["out"]["jets"] == 2 * first["out"]["jets"]


def test_what_process_does_not_read_may_change_with_the_name(run: Callable[..., Any], tmp_path: Path) -> None:
    """An attribute that only postprocess reads is no part of the key without the name; one that process reads is."""
    file, link = write_events(tmp_path / "events.root", 1), tmp_path / "link.root"
    link.symlink_to(file)
    edited, other = make_processor(), make_processor(lambda events: len(events))
    edited.label = "edited"
    first, _ = run(file)
    again, ran = run(link, used=[edited])
    assert ran == 0
    assert again["out"] == first["out"]
    assert run(link, used=[other])[1] == CHUNKS


def test_another_data_set_runs(run: Callable[..., Any], tmp_path: Path) -> None:
    """The processor is told of it."""
    file = write_events(tmp_path / "events.root", 1)
    run(file)
    link = tmp_path / "link.root"
    link.symlink_to(file)
    other, ran = run(link, dataset="wjets")
    assert ran == CHUNKS
    assert other["out"]["wjets"] == 60


def as_if_copied(file: Path, seed: int, original: Path) -> Path:
    """Write other events under the identifier of another file, as an edited copy has it."""
    head = original.read_bytes()[:75]
    write_events(file, seed, 4000)
    content = bytearray(file.read_bytes())
    content[47:63] = head[47:63]
    file.write_bytes(content)
    return file


def test_an_edited_copy_runs(run: Callable[..., Any], tmp_path: Path) -> None:
    """Of another size; of the same size and time; and one that is edited after it was found."""
    file = write_events(tmp_path / "events.root", 1, 4000, compression=None)
    run(file, entries=4000)
    other = as_if_copied(tmp_path / "other.root", 2, file)
    patched = Path(shutil.copy(file, tmp_path / "patched.root"))
    patch(patched, file)
    found = Path(shutil.copy(file, tmp_path / "found.root"))
    (first, second, third), ran = each_alone(run, other, patched, found)
    assert ran == [CHUNKS, CHUNKS, 0]
    assert len({first, second, third}) == 3
    patch(found, file, 5.0)
    (again,), ran = each_alone(run, found)
    assert ran == [CHUNKS]
    assert again not in (first, second, third)


def each_alone(run: Callable[..., Any], *files: Path) -> tuple[list[int], list[int]]:
    """Return the number of jets in each file, and how often process ran for it."""
    results = [run(file, entries=4000) for file in files]
    return [result["out"]["jets"] for result, _ in results], [ran for _, ran in results]


def test_a_file_that_was_replaced_runs(run: Callable[..., Any], tmp_path: Path) -> None:
    """Under the name that it had, and under one that led to it and leads elsewhere now."""
    file, link = write_events(tmp_path / "events.root", 1, 4000), tmp_path / "link.root"
    link.symlink_to(file)
    before, ran = each_alone(run, file, link)
    assert ran == [CHUNKS, 0]
    as_if_copied(file, 2, file)
    after, ran = each_alone(run, file, link)
    assert ran == [CHUNKS, 0]
    assert before[0] == before[1] != after[0] == after[1]
    third = as_if_copied(tmp_path / "third.root", 3, file)
    link.unlink()
    link.symlink_to(third)
    (jets,), ran = each_alone(run, link)
    assert ran == [CHUNKS]
    assert jets not in (*before, *after)


def of_the_folder(events: Any) -> str:
    return os.path.basename(os.path.dirname(events.metadata["filename"]))


def by_a_made_up_name(events: Any) -> Any:
    return getattr(events, "".join(["meta", "data"]))["file" + "name"]


def of_all(events: Any) -> list[Any]:
    return [value for value in events.metadata.values() if "events" in str(value)]


def of_an_error(events: Any) -> str:
    try:
        return str(events.attrs["@events_factory"].file_handle["absent"])
    except KeyError as error:
        return str(error)


def of_the_form(events: Any) -> bool:
    return "2017" in str(events.layout.form)


LOOKS = [of_the_folder, by_a_made_up_name, of_all, of_an_error, of_the_form]


def test_code_that_may_see_the_name_runs_for_each(run: Callable[..., Any], tmp_path: Path) -> None:
    """The result is that of the name, as without a cache; once it is kept, it is loaded."""
    for year in ("2016", "2017"):
        (tmp_path / year).mkdir()
    one = write_events(tmp_path / "2016" / "events.root", 1)
    other = Path(shutil.copy2(one, tmp_path / "2017" / "events.root"))
    used = [make_processor(look) for look in LOOKS]
    *first, ran = run(one, used=used)
    assert ran == len(LOOKS) * CHUNKS
    *second, ran = run(other, used=used)
    assert ran == len(LOOKS) * CHUNKS
    for look, results, expected in ((0, second, "2017"), (1, second, str(other)), (0, first, "2016")):
        assert results[look]["out"]["found"] == [expected] * CHUNKS
    assert all(str(one) not in str(result["out"]["found"]) for result in second)
    assert [result["out"]["found"][0] for result in (first[4], second[4])] == [False, True]
    assert run(one, other, used=used)[-1] == 0


def test_a_result_that_holds_the_name_stays_with_it(tmp_path: Path) -> None:
    """Events have their metadata with them, and an array of them says where it is from."""
    file = write_events(tmp_path / "events.root", 1)
    item = WorkItem("ttbar", str(file), "Events", 0, 30, b"1" * 16, {})
    held = Held.of(str(file))
    assert held is not None
    chunk = ChunkCall(len, item, None, held)
    array = ak.with_parameter(ak.Array([1, 2]), "metadata", {"filename": str(file)})
    for out in ({"found": array}, {"found": [str(file)]}, {str(file): 1}):
        assert chunk.may_name({"out": out, "processed": {item}})
    assert not chunk.may_name({"out": {"found": ak.Array([1, 2])}, "processed": {item}})
    assert chunk.may_name({"out": {}, "processed": {replace(item, filename="other.root")}})
    assert chunk.may_name({"out": {}})


def test_who_purges_a_result_purges_it_under_all_names(run: Callable[..., Any], tmp_path: Path, store_url: str) -> None:
    """None of its other names brings it back."""
    file, link = write_events(tmp_path / "events.root", 1), tmp_path / "link.root"
    link.symlink_to(file)
    run(file)
    store = open_store(store_url)
    store.delete([key for info in store.scan() if info.name == "Analysis" for key in info.keys])
    assert run(link)[1] == CHUNKS


@pytest.mark.parametrize("compression", [None, 1])
def test_with_and_without_compression(compression: int | None, run: Callable[..., Any], tmp_path: Path) -> None:
    """However coffea hands the results on."""
    file, link = write_events(tmp_path / "events.root", 1), tmp_path / "link.root"
    link.symlink_to(file)
    first, _ = run(file, compression=compression)
    again, ran = run(link, compression=compression)
    assert ran == 0
    assert again["out"] == first["out"]
