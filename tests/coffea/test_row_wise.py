"""Steps that are marked ``rows=True``: kept by blocks of their files, and joined again for any chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dask.base import tokenize

from cachingclient import CacheWarning, step
from cachingclient.coffea import Chunk, chunks_of, run_steps
from cachingclient.hashing.step_keys import Merkle
from cachingclient.storage import open_store
from tests.coffea.conftest import write_events

if TYPE_CHECKING:
    from cachingclient import DiracClient

ENTRIES = 120
JOINED = {"join-select", "join-vary", "fill", "accumulate"}
BLOCK = 10
ROW_WISE = step(rows=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of a thousand events."""
    return write_events(tmp_path / "events.root", 1, entries=ENTRIES)


def make_steps(
    mark: Callable[[Any], Any] = ROW_WISE, *, bins: int = 20, scaled: Callable[[Any], Any] | None = None
) -> dict[str, Any]:
    """Return the steps of a small analysis; as closures they go to the workers by value."""
    import awkward as ak
    import hist

    def load(chunk: Chunk) -> Any:
        return chunk.arrays(["Jet_pt", "event"])

    def select(events: Any) -> Any:
        return events[ak.num(events.Jet_pt[events.Jet_pt > 40], axis=1) > 1]

    def up(events: Any, chunk: Chunk) -> Any:
        return ak.with_field(events, events.Jet_pt * chunk.metadata["up"], "Jet_pt")

    def fill(events: Any, chunk: Chunk) -> Any:
        filled = hist.Hist.new.Reg(bins, 0, 200, name="pt").Reg(10, 0, 1000, name="event").Double()
        return filled.fill(ak.flatten(events.Jet_pt), ak.flatten(ak.broadcast_arrays(events.event, events.Jet_pt)[0]))

    vary = {"nominal": None, "up": mark(up)} if scaled is None else {"nominal": None, "up": mark(scaled)}
    return {"load": mark(load), "select": mark(select), "vary": vary, "fill": fill}


def fileset(file: Path) -> dict[str, Any]:
    """Return a data set of one file."""
    return {"ttbar": {"files": {str(file): "Events"}, "metadata": {"up": 1.1}}}


def plain(file: Path, chunksize: int, **given: Any) -> Any:
    """Return what the steps give when no step is marked."""
    steps = make_steps(lambda function: function, **given)
    return run_steps(fileset(file), chunksize=chunksize, **steps).compute(scheduler="synchronous")


def run(client: DiracClient, what: Any, chunksize: int, steps: dict[str, Any] | None = None) -> Any:
    """Run the marked steps and have all that is worth it kept."""
    found = client.compute(run_steps(what, chunksize=chunksize, block=BLOCK, **(steps or make_steps())), sync=True)
    client.flush()
    return found


def run_twice(client: DiracClient, file: Path, steps: dict[str, Any]) -> None:
    """Run steps, and others after them: by then warnings of the first have come."""
    run(client, fileset(file), 40, steps)
    run(client, fileset(file), 30)


def ran(client: DiracClient) -> Counter[str]:
    """How many steps of each name the last graph ran."""
    report = client.report
    assert report is not None
    return Counter(record.name for record in report.records if record.action == "ran")


def test_other_chunks_are_joined_of_what_is_there(make_client: Callable[..., DiracClient], file: Path) -> None:
    """Other chunk sizes run none of the row-wise steps again, and fill the same histograms."""
    first = make_client()
    assert run(first, fileset(file), 40) == plain(file, 40)
    assert ran(first)["select"] == ENTRIES // BLOCK
    for chunksize in (20, 30, 60):
        client = make_client()
        assert run(client, fileset(file), chunksize) == plain(file, chunksize)
        assert ran(client).keys() <= JOINED
        assert ran(client)["fill"] == 2 * -(-ENTRIES // chunksize)


def test_a_chunk_that_is_partly_there_is_computed_for_the_rest(
    make_client: Callable[..., DiracClient], file: Path
) -> None:
    """Of chunks whose ends lie within blocks, the blocks within are found; so are those that were not pruned."""
    [whole] = chunks_of(fileset(file), ENTRIES)
    cut = [0, 33, 66, ENTRIES]
    odd = [Chunk(**{**vars(whole), "start": start, "stop": stop}) for start, stop in pairwise(cut)]
    first = make_client()
    assert run(first, odd, 40) == plain(file, 40)
    second = make_client()
    assert run(second, fileset(file), 30) == plain(file, 30)
    assert ran(second)["select"] == 2  # the blocks that a chunk ended in
    gone = [info.key for info in second.cache.scan() if info.name in ("select", "vary", "load")][::5]
    second.cache.delete(gone)
    third = make_client()
    assert run(third, fileset(file), 20) == plain(file, 20)
    assert 0 < ran(third)["select"] + ran(third)["vary"] <= len(gone)


def test_two_clients_at_once(make_client: Callable[..., DiracClient], file: Path) -> None:
    """Two runs with other chunks into one store give what each gives alone, and all of it is found afterwards."""
    clients = {40: make_client(), 30: make_client()}
    graphs = {size: run_steps(fileset(file), chunksize=size, block=BLOCK, **make_steps()) for size in clients}
    with ThreadPoolExecutor(2) as pool:
        started = {size: pool.submit(clients[size].compute, graphs[size], sync=True) for size in clients}
        assert {size: future.result() for size, future in started.items()} == {
            size: plain(file, size) for size in clients
        }
    for client in clients.values():
        client.flush()
    third = make_client()
    assert run(third, fileset(file), 20) == plain(file, 20)
    assert ran(third).keys() <= JOINED


def test_an_edit_behind_loads_blocks(make_client: Callable[..., DiracClient], file: Path) -> None:
    """After an edit of the histogram the selected events are loaded, and nothing before them."""
    run(make_client(), fileset(file), 40)
    second = make_client()
    assert run(second, fileset(file), 30, make_steps(bins=30)) == plain(file, 30, bins=30)
    report = second.report
    assert report is not None
    loaded = Counter(record.name for record in report.records if record.action == "loaded")
    assert loaded["select"] == loaded["vary"] == ENTRIES // BLOCK
    assert "load" not in loaded


def test_a_step_that_lies_is_found_out(make_client: Callable[..., DiracClient], file: Path) -> None:
    """A look at two blocks together tells, and from then on the step is given whole chunks, until it is mended."""
    import awkward as ak

    def scaled(events: Any) -> Any:
        return ak.with_field(events, 100 * events.Jet_pt / ak.max(events.Jet_pt), "Jet_pt")

    def mended(events: Any) -> Any:
        return ak.with_field(events, 100 * events.Jet_pt / 400, "Jet_pt")

    first = make_client()
    with pytest.warns(CacheWarning, match="step 'vary' is marked rows=True, but joined from blocks"):
        run_twice(first, file, make_steps(scaled=scaled))
    second = make_client()
    with pytest.warns(CacheWarning, match="step 'vary' is marked rows=True and was seen not to be row-wise"):
        found = run(second, fileset(file), 40, make_steps(scaled=scaled))
    assert found == plain(file, 40, scaled=scaled)
    assert "load" not in ran(second)
    assert run(second, fileset(file), 40, make_steps(scaled=mended)) == plain(file, 40, scaled=mended)
    assert ran(second)["vary"] == ENTRIES // BLOCK
    assert {info.name for info in open_store(second.cache.url).scan()} >= {"check-vary", "check-select", "vary"}


def test_the_mark_changes_no_key() -> None:
    """A step is the same with the mark and without; so are the keys of graphs whose steps have none."""

    def select(events: Any) -> Any:
        return events[events > 30]

    codes = [Merkle({}).code(each) for each in (step(select), step(rows=True)(select))]
    assert len({getattr(code, "digest", code) for code in codes}) == 1
    chunk = Chunk("ttbar", "root://host//a.root", "Events", 0, 50_000)
    keys = set(run_steps([chunk], load=len, select=abs, merge=sum).__dask_graph__())
    load = f"load-{tokenize(len, chunk, {})}"
    assert f"select-{tokenize(abs, load, {})}" in keys  # the name of what it takes is in it


def test_chunks_smaller_than_blocks(file: Path) -> None:
    """Where chunks are smaller than blocks they are given as they are."""
    graph = run_steps(fileset(file), chunksize=4, block=BLOCK, **make_steps())
    assert graph.compute(scheduler="synchronous") == plain(file, 4)
    assert len(chunks_of(fileset(file), 4, multiple_of=BLOCK)) == ENTRIES // 4
    sizes = {len(chunk) for chunk in chunks_of(fileset(file), 35, multiple_of=BLOCK)}
    assert sizes == {30}
