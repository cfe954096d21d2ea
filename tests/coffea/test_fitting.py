"""Chunk sizes that are chosen by what steps took, and halves of chunks that ran out of memory."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import pytest
from distributed import LocalCluster

from cachingclient import step
from cachingclient.coffea import Chunk, Fitting, run_steps, until_it_fits
from cachingclient.coffea.fitting import Shapes
from cachingclient.plan.chunk_notes import MOST_BYTES, ChunkNotes, Known, Part, Took
from cachingclient.plan.history import chunk_notes_of
from tests.coffea.conftest import write_events

if TYPE_CHECKING:
    from cachingclient import DiracClient

ENTRIES = 120
FITTING = Fitting(start=40, name="test")
ROW_WISE = step(rows=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of 120 events."""
    return write_events(tmp_path / "events.root", 1, entries=ENTRIES)


def make_steps(fails: Callable[[Any], bool], mark: Callable[[Any], Any] = lambda function: function) -> dict[str, Any]:
    """Return the steps of a small analysis, of which one fails for some chunks or blocks."""
    import awkward as ak

    def load(chunk: Chunk) -> Any:
        return chunk.arrays(["Jet_pt"])

    def select(events: Any, chunk: Chunk) -> Any:
        if fails(chunk):
            raise MemoryError("this is too much")
        return events[ak.num(events.Jet_pt[events.Jet_pt > 40], axis=1) > 1]

    def count(events: Any) -> int:
        return int(ak.sum(ak.num(events.Jet_pt)))

    return {"load": mark(load), "select": mark(select), "count": count}


def run(client: DiracClient, file: Path, steps: dict[str, Any], fitting: Any = FITTING) -> Any:
    """Run steps until they fit, and have all of it kept and noted."""
    graph = {"ttbar": [str(file)]}
    found = until_it_fits(
        lambda: client.compute(run_steps(graph, chunksize=fitting, block=10, **steps), sync=True)["ttbar"]
    )
    client.flush()
    return found


def ran(client: DiracClient) -> Counter[str]:
    """How many steps of each name the last graph ran."""
    report = client.report
    assert report is not None
    return Counter(record.name for record in report.records if record.action == "ran")


def chunks(client: DiracClient, name: str = "test") -> Known:
    """Return what the notes beside the client's store say."""
    return chunk_notes_of(client.cache).of(name)


def test_what_steps_took_is_noted_by_events(make_client: Callable[..., DiracClient], file: Path) -> None:
    """Steps of chunks with their events and memory; those of blocks, and what is loaded, tell nothing of chunks."""
    first = make_client()
    expected = run(first, file, make_steps(lambda chunk: False))
    took = chunks(first).took
    assert took.keys() == {"load", "select", "count"}
    assert {(each.tasks, each.events) for each in took.values()} == {(3, ENTRIES)}
    assert all(each.seconds > 0 for each in took.values())
    second = make_client()
    assert run(second, file, make_steps(lambda chunk: False)) == expected
    assert not ran(second)
    assert chunks(second).took == took
    third = make_client()
    steps = {**make_steps(lambda chunk: False, ROW_WISE), "count": len}
    run(third, file, steps, Fitting(start=40, name="in blocks"))
    assert chunks(third, "in blocks").took.keys() == {"count"}


def test_the_size_changes_when_that_loses_nothing(make_client: Callable[..., DiracClient], file: Path) -> None:
    """What was too slow stays as large while steps are found; after an edit of the first step chunks are smaller."""
    steps = make_steps(lambda chunk: False)
    first = make_client()
    expected = run(first, file, steps)
    chunk_notes_of(first.cache).measured("test", "select", Took(1, 40, 60.0 * 4, 0.0))
    second = make_client()
    assert run(second, file, steps) == expected
    assert not ran(second)

    def load(chunk: Chunk) -> Any:
        return chunk.arrays(["Jet_pt", "Jet_eta"])

    assert run(second, file, {**steps, "load": load}) == expected
    assert ran(second)["select"] == ENTRIES // 10
    assert chunks(second).size == 10
    third = make_client()
    assert run(third, file, {**steps, "load": load}) == expected
    assert not ran(third)


SIZES = {
    "nothing is known": ({}, 40_000),
    "within the targets": ({"select": Took(4, 160_000, 4 * 20.0, 10_000.0)}, 40_000),
    "a little slow": ({"select": Took(4, 160_000, 4 * 100.0, 10_000.0)}, 40_000),
    "too slow": ({"select": Took(4, 160_000, 4 * 240.0, 100.0)}, 10_000),
    "the slowest counts": ({"a": Took(1, 40_000, 1.0), "b": Took(1, 40_000, 240.0)}, 10_000),
    "too large": ({"select": Took(4, 160_000, 4 * 20.0, 50_000.0)}, 20_000),
    "much too small": ({"select": Took(4, 160_000, 4 * 6.0, 100.0)}, 400_000),
    "small, but large": ({"select": Took(4, 160_000, 4 * 6.0, 10_000.0)}, 40_000),
    "at most so much at once": ({"select": Took(4, 160_000, 4e-3, 0.1)}, 640_000),
    "a block is too much": ({"select": Took(4, 160_000, 4 * 2400.0)}, 1_000),
}


@pytest.mark.parametrize("name", SIZES)
def test_the_size_follows_what_was_measured(name: str, tmp_path: Path) -> None:
    """A minute and a gigabyte: only for what is off by a factor another size is better, a multiple of the block."""
    took, size = SIZES[name]
    notes = ChunkNotes(tmp_path / "chunks.jsonl")
    notes.use("test", 40_000)
    for step_name, each in took.items():
        notes.measured("test", step_name, each)
    assert FITTING.better(notes.of("test"), 10_000) == size


@pytest.mark.parametrize("mark", [lambda function: function, ROW_WISE], ids=["chunk", "block"])
def test_what_ran_out_of_memory_is_halved(
    mark: Callable[[Any], Any], make_client: Callable[..., DiracClient], file: Path
) -> None:
    """A chunk or block alone, until it fits; the others are found, and so is all of it in the next session."""
    most = 4 if mark is ROW_WISE else 15

    def fails(chunk: Chunk) -> bool:
        return chunk.start <= 50 < chunk.stop and len(chunk) > most

    first = make_client()
    plain = run_steps({"ttbar": [str(file)]}, chunksize=40, **make_steps(lambda chunk: False))
    expected = plain.compute(scheduler="synchronous")["ttbar"]
    assert run(first, file, make_steps(fails, mark)) == expected
    known = chunks(first)
    assert {part.role for part in known.too_much} == {"block" if mark is ROW_WISE else "chunk"}
    assert sorted(part.stop - part.start for part in known.too_much) == ([5, 10] if mark is ROW_WISE else [20, 40])
    assert known.size == 40
    last = first.report
    assert last is not None
    assert ran(first)["select"] < (ENTRIES // 10 if mark is ROW_WISE else 5)  # the others were there
    second = make_client()
    assert run(second, file, make_steps(fails, mark)) == expected
    assert not ran(second)


def test_what_can_not_be_halved_fails(make_client: Callable[..., DiracClient], file: Path) -> None:
    """One event that is too much is an error as ever, and so is any other error at once."""
    client = make_client()
    with pytest.raises(MemoryError, match="too much"):
        run(client, file, make_steps(lambda chunk: chunk.start <= 50 < chunk.stop))
    assert min(part.stop - part.start for part in chunks(client).too_much) == 1
    calls = []

    def other() -> None:
        calls.append(1)
        raise MemoryError("of the program's own")

    with pytest.raises(MemoryError, match="own"):
        until_it_fits(other)
    assert calls == [1]


def test_a_killed_worker_halves_a_chunk(store_url: str, file: Path) -> None:
    """Where a worker dies over a chunk, its halves run on the next."""
    from cachingclient import DiracClient

    def dies(chunk: Chunk) -> bool:
        if chunk.start <= 50 < chunk.stop and len(chunk) > 20:
            os._exit(1)
        return False

    settings = {"distributed.scheduler.allowed-failures": 0}
    with (
        dask.config.set(settings),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        DiracClient(cluster, cache=store_url, policy="all") as client,
    ):
        found = run(client, file, make_steps(dies))
        # Also of another chunk, if a task of it waited for the worker that died.
        assert (40, 80) in {(part.start, part.stop) for part in chunks(client).too_much}
        assert found == run(client, file, make_steps(lambda chunk: False), 40)


def test_halves_are_of_blocks() -> None:
    """A chunk is cut between blocks as long as it has several; a larger one that holds what was too much is cut too."""
    chunk = Chunk("ttbar", "root://host//a.root", "Events", 0, 70, uuid="1")
    too_much = {Part("test", "1", "Events", 40, 60), Part("test", "2", "Events", 0, 70)}
    halved = Shapes("test", 70, 70, too_much).halved(chunk, 10)
    assert [(each.start, each.stop) for each in halved] == [(0, 30), (30, 50), (50, 70)]
    assert Shapes("test", 70, 70, {Part("test", "1", "Events", 40, 60, "block")}).halved(chunk, 10) == [chunk]


def test_a_runner_of_coffea_gets_a_size(make_client: Callable[..., DiracClient], file: Path) -> None:
    """By what the processor took before, halved as a whole where a chunk ran out of memory."""
    from coffea import processor
    from coffea.nanoevents import BaseSchema

    class Sum(processor.ProcessorABC):
        def process(self, events: Any) -> Any:
            if len(events) > 25:
                raise MemoryError("this is too much")
            return {"events": len(events)}

        def postprocess(self, accumulator: Any) -> Any:
            return accumulator

    def run_it(client: DiracClient) -> Any:
        executor = processor.DaskExecutor(client=client, status=False, retries=0)
        size = Fitting(start=40).chunksize(Sum(), multiple_of=10)
        runner = processor.Runner(executor=executor, schema=BaseSchema, chunksize=size)
        return runner({"ttbar": {"files": {str(file): "Events"}}}, processor_instance=Sum())

    first = make_client()
    assert until_it_fits(lambda: run_it(first)) == {"events": ENTRIES}
    first.flush()
    known = chunks(first, "Sum")
    assert {part.stop - part.start for part in known.too_much} == {40}
    assert known.took["Sum"].events == ENTRIES
    second = make_client()
    assert run_it(second) == {"events": ENTRIES}
    assert not ran(second)


WRONG = {
    "seconds": ("soon", "-1", 0, None, True, "nan"),
    "memory": ("much", "-1 GB", 0, None, True),
    "start": (0, -5, 1.5, "100", True),
    "name": (1, None),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_input_is_named(name: str) -> None:
    """What can't be understood is refused with the argument, what it got and what it takes."""
    for value in WRONG[name]:
        with pytest.raises((ValueError, TypeError), match=f"^{name} is {value!r}; it takes "):
            Fitting(**{name: value})
    for size in ("automatic", None, 1.5, True):
        with pytest.raises(TypeError, match=f"^chunksize is {size!r}; it takes .*'auto' or a Fitting"):
            run_steps([], chunksize=size, load=len)


def test_damaged_notes_are_nothing(tmp_path: Path) -> None:
    """Lines that can't be understood are left out, and a file that can't be read or written is empty."""
    notes = ChunkNotes(tmp_path / "chunks.jsonl")
    notes.use("test", 30)
    with notes.path.open("a") as file:
        for line in ('{"of": "test"', "[]", '{"of": "test", "size": "x"}', '{"of": "test", "took": 3, "step": "a"}'):
            file.write(f"{line}\n")
        file.write(json.dumps({"of": "test", "too much": {"file": "a"}}) + "\n\0\n")
    assert notes.of("test") == Known(30)
    (tmp_path / "folder").mkdir()
    wrong = ChunkNotes(tmp_path / "folder")
    wrong.use("test", 30)
    assert wrong.of("test") == Known()


def test_a_long_file_is_cut(tmp_path: Path) -> None:
    """Old measurements go; sizes and what was too much stay."""
    notes = ChunkNotes(tmp_path / "chunks.jsonl")
    part = Part("test", "1", "Events", 0, 10)
    notes.use("test", 30)
    notes.failed(part)
    notes.measured("test", "select", Took(1, 10, 1.0, 1.0))
    line = notes.path.read_text().splitlines()[-1] + "\n"
    with notes.path.open("a") as file:
        file.write(line * (MOST_BYTES // len(line) + 1))
    notes.measured("test", "fill", Took(2, 20, 1.0, 1.0))
    assert notes.path.stat().st_size < MOST_BYTES / 2
    known = notes.of("test")
    assert (known.size, known.too_much) == (30, {part})
    assert known.took["fill"].tasks == 2
