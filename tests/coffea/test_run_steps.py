"""Named steps over the chunks of a file set, as tasks of one graph."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import hist
import numpy as np
import pytest

from cachingclient.coffea import Chunk, chunks_of, run_steps

if TYPE_CHECKING:
    from cachingclient import DiracClient


def make_steps(cut: float = 30.0, bins: int = 20) -> dict[str, Any]:
    """Return the steps of a small analysis; as closures they go to the workers by value."""
    import awkward as ak
    import hist

    def load(chunk: Chunk) -> Any:
        return chunk.arrays(["Jet_pt"])

    def select(events: Any) -> Any:
        return events.Jet_pt[events.Jet_pt > cut]

    def smear(pt: Any, chunk: Chunk) -> Any:
        draws = chunk.random("smearing").normal(1, 0.1, int(ak.sum(ak.num(pt))))
        return pt * ak.unflatten(draws, ak.num(pt))

    def fill(pt: Any, chunk: Chunk) -> Any:
        filled = hist.Hist.new.Reg(bins, 0, 200, name="pt").Double()
        return filled.fill(ak.flatten(pt), weight=chunk.metadata["xsec"])

    return {"load": load, "select": select, "vary": {"nominal": None, "smeared": smear}, "fill": fill}


def fileset(files: list[Path]) -> dict[str, Any]:
    """Return a data set of files."""
    return {"ttbar": {"files": {str(file): "Events" for file in files}, "metadata": {"xsec": 2.0}}}


def actions(client: DiracClient) -> Counter[tuple[str, str]]:
    """What the last graph did, by step."""
    report = client.report
    assert report is not None
    return Counter((record.name, record.action) for record in report.records)


def test_only_edited_steps_run(make_client: Callable[..., DiracClient], two_files: list[Path]) -> None:
    """Each step of each chunk is a task: an edited histogram runs the fills alone, and all is as without a cache."""
    plain = run_steps(fileset(two_files), chunksize=30, **make_steps()).compute(scheduler="synchronous")
    first = make_client()
    cold = first.compute(run_steps(fileset(two_files), chunksize=30, **make_steps()), sync=True)
    assert cold["ttbar"].keys() == {"nominal", "smeared"}
    assert cold == plain
    first.flush()
    second = make_client()
    warm = second.compute(run_steps(fileset(two_files), chunksize=30, **make_steps()), sync=True)
    assert warm == plain
    assert sum(count for (_, action), count in actions(second).items() if action == "ran") == 0
    second.compute(run_steps(fileset(two_files), chunksize=30, **make_steps(bins=25)), sync=True)
    ran = {name for (name, action), _ in actions(second).items() if action == "ran"}
    assert "fill" in ran
    assert ran.isdisjoint({"load", "select", "vary"})


def test_the_histograms_are_those_of_all_events(two_files: list[Path]) -> None:
    """Chunks and merges lose and double nothing."""
    result = run_steps(fileset(two_files), chunksize=7, fan_in=2, **make_steps()).compute(scheduler="synchronous")
    whole = [chunk.arrays(["Jet_pt"]).Jet_pt for chunk in chunks_of(fileset(two_files))]
    expected = hist.Hist.new.Reg(20, 0, 200, name="pt").Double()
    for pt in whole:
        expected.fill(ak.flatten(pt[pt > 30.0]), weight=2.0)
    assert np.array_equal(result["ttbar"]["nominal"].view(flow=True), expected.view(flow=True))


def test_chunks_cover_a_file_evenly(two_files: list[Path]) -> None:
    """No event is left out or twice in, and no chunk is much smaller than another."""
    chunks = [chunk for chunk in chunks_of({"data": two_files}, 25) if chunk.file == str(two_files[0])]
    assert [(chunk.start, chunk.stop) for chunk in chunks] == [(0, 20), (20, 40), (40, 60)]


def test_seeds_belong_to_events(two_files: list[Path], tmp_path: Path) -> None:
    """A seed is that of the chunk and the name, wherever the file lies."""
    moved = Path(shutil.copy(two_files[0], tmp_path / "moved.root"))
    here, there = (chunks_of({"data": [file]}, 30) for file in (two_files[0], moved))
    assert [chunk.seed("jer") for chunk in here] == [chunk.seed("jer") for chunk in there]
    seeds = {chunk.seed(name, number) for chunk in here for name in ("jer", "jes") for number in (1, 2)}
    assert len(seeds) == 8


def test_events_have_their_metadata(two_files: list[Path]) -> None:
    """NanoEvents of a chunk are those of its range, unread, with what the file set says."""
    chunk = chunks_of(fileset(two_files[:1]), 30)[1]
    events = chunk.events()
    assert len(events) == len(chunk) == 30
    assert events.metadata["xsec"] == 2.0
    assert events.event.to_list() == list(range(30, 60))


def test_without_branches_there_is_one_result() -> None:
    """A data set's result stands alone where no step branches."""
    chunks = [Chunk(name, "root://host//a.root", "Events", 0, 5) for name in ("one", "two")]
    result = run_steps(chunks, count=len, merge=sum).compute(scheduler="synchronous")
    assert result == {"one": 5, "two": 5}


def test_branches_of_branches() -> None:
    """Two steps that branch give every combination."""
    chunks = [Chunk("one", "root://host//a.root", "Events", 0, 5)]

    def plus(value: int) -> int:
        return value + 1

    def times(value: int) -> int:
        return value * 10

    result = run_steps(chunks, size=len, first={"a": None, "b": plus}, second={"x": None, "y": times}, merge=sum)
    assert result.compute(scheduler="synchronous") == {"one": {"a/x": 5, "a/y": 50, "b/x": 6, "b/y": 60}}


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no steps": (lambda: run_steps([]), ValueError, "at least one step"),
    "no function": (lambda: run_steps([], load=3), TypeError, "step 'load' is 3"),  # type: ignore[arg-type]
    "no branches": (lambda: run_steps([], vary={}), ValueError, "empty dict"),
    "fan-in": (lambda: run_steps([], load=len, fan_in=1), ValueError, "fan_in is 1"),
    "chunk size": (lambda: chunks_of({}, 0), ValueError, "chunksize is 0"),
    "data set": (lambda: chunks_of({"data": 3}), TypeError, "data set 'data' is 3"),
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_arguments_are_named(bad: str) -> None:
    """What can't be run is refused with its name."""
    call, error, text = BAD[bad]
    with pytest.raises(error, match=text):
        call()
