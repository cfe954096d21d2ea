"""`@step`s that a processor calls: found again by content under every executor of coffea, with or without dask."""

from __future__ import annotations

import concurrent.futures
import pickle
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import dask
import numpy as np
import pytest

from cachingclient import CacheWarning, step
from cachingclient.plan.picture import _boxes
from cachingclient.storage import open_store
from cachingclient.warn_once import NoteKeeper
from cachingclient.worker import direct_call
from cachingclient.worker.context import configured_context
from cachingclient.worker.process import process
from cachingclient.worker.recent_results import recent_results

processor = pytest.importorskip("coffea.processor")

from coffea.nanoevents import NanoAODSchema, NanoEventsFactory  # noqa: E402
from coffea.processor.executor import DEFAULT_METADATA_CACHE  # noqa: E402

if TYPE_CHECKING:
    from cachingclient import DiracClient

CHUNKS = 4


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch: pytest.MonkeyPatch, store_url: str) -> Iterator[None]:
    """Steps use this test's store, here and in the processes of pools, with nothing remembered."""
    monkeypatch.setattr(NanoAODSchema, "warn_missing_crossrefs", False)
    monkeypatch.setattr(direct_call, "_notes", NoteKeeper())
    monkeypatch.setenv("DASK_CACHINGCLIENT__STORE", store_url)
    monkeypatch.setenv("DASK_CACHINGCLIENT__POLICY", "all")
    with dask.config.set({"cachingclient.store": store_url, "cachingclient.policy": "all"}):
        forget()
        yield
    forget()


def forget() -> None:
    """Forget what a process remembers; what is in the store stays."""
    process().writer.flush()
    configured_context.cache_clear()
    recent_results().clear()
    process().not_worth.clear()


def make_processor(cut: float = 30.0, bins: int = 20, scale_by: float = 1.1) -> Any:
    """Return a processor with a step that is a method, one that is a function, and equal calls of the latter."""
    import awkward as ak
    import hist
    from coffea.processor import ProcessorABC

    from cachingclient import step

    def trace(log: str, name: str) -> None:
        with open(log, "a") as file:
            file.write(f"{name}\n")

    @step(ignore=["log"])
    def scale(jets: Any, factor: float, log: str) -> Any:
        trace(log, "scale")
        return ak.with_field(jets, jets.pt * factor, "pt")

    class Analysis(ProcessorABC):
        def __init__(self) -> None:
            self.cut = cut
            self.bins = bins

        @step(ignore=["log"])
        def select(self, jets: Any, log: str) -> Any:
            trace(log, "select")
            chosen = jets[jets.pt > self.cut]
            return ak.zip({"pt": chosen.pt, "eta": chosen.eta})

        def process(self, events: Any) -> Any:
            log = events.metadata["log"]
            trace(log, "process")
            jets = self.select(events.Jet, log=log)
            filled = hist.Hist.new.Reg(self.bins, 0, 200, name="pt").StrCat([], growth=True, name="kind").Weight()
            filled.fill(ak.flatten(jets.pt), kind="nominal")
            for kind in ("up", "up again"):
                filled.fill(ak.flatten(scale(jets, scale_by, log=log).pt), kind=kind)
            return {"pt": filled, "events": len(events)}

        def postprocess(self, accumulator: Any) -> Any:
            return accumulator

    return Analysis()


def executor(kind: str, make_client: Callable[..., DiracClient]) -> Any:
    """Return one of coffea's executors."""
    if kind == "dask":
        return processor.DaskExecutor(client=make_client(), status=False)
    if kind == "iterative":
        return processor.IterativeExecutor(status=False)
    pool = {"processes": {}, "threads": {"pool": concurrent.futures.ThreadPoolExecutor}}[kind]
    return processor.FuturesExecutor(status=False, workers=2, **pool)


def run(executed: Any, files: list[Path], log: Path, used: Any) -> tuple[Any, Counter[str]]:
    """Run a processor as in a new process; gives the result and what ran."""
    DEFAULT_METADATA_CACHE.clear()
    log.unlink(missing_ok=True)
    fileset = {"ttbar": {"files": {str(file): "Events" for file in files}, "metadata": {"log": str(log)}}}
    runner = processor.Runner(executor=executed, schema=NanoAODSchema, chunksize=30)
    out = runner(fileset, processor_instance=used)
    if client := getattr(executed, "client", None):
        client.flush()
        client.run(
            lambda: __import__("cachingclient.worker.recent_results").worker.recent_results.recent_results().clear()
        )
    forget()
    return out, Counter(log.read_text().split()) if log.exists() else Counter()


def same(one: Any, other: Any) -> bool:
    """Whether two results are equal, their histograms bit for bit."""
    return one["events"] == other["events"] and pickle.dumps(one["pt"].view(flow=True)) == pickle.dumps(
        other["pt"].view(flow=True)
    )


@pytest.mark.parametrize("kind", ["dask", "iterative"])
def test_only_edited_steps_run(
    kind: str, make_client: Callable[..., DiracClient], two_files: list[Path], tmp_path: Path
) -> None:
    """Cold, equal calls run once; then an edited histogram runs no step, an edited cut runs what comes after it."""
    log = tmp_path / "log"

    def go(**changes: Any) -> tuple[Any, Counter[str]]:
        return run(executor(kind, make_client), two_files, log, make_processor(**changes))

    with dask.config.set({"cachingclient.mode": "off"}):
        configured_context.cache_clear()
        plain, _ = run(processor.IterativeExecutor(status=False), two_files, log, make_processor())
        edited, _ = run(processor.IterativeExecutor(status=False), two_files, log, make_processor(bins=25))
    cold, ran = go()
    assert ran == {"process": CHUNKS, "select": CHUNKS, "scale": CHUNKS}
    assert same(cold, plain)
    warm, ran = go()
    assert ran == ({} if kind == "dask" else {"process": CHUNKS})
    assert same(warm, plain)
    other_bins, ran = go(bins=25)
    assert ran == {"process": CHUNKS}
    assert same(other_bins, edited)
    _, ran = go(cut=35.0)
    assert ran == {"process": CHUNKS, "select": CHUNKS, "scale": CHUNKS}
    _, ran = go(scale_by=1.2)
    assert ran == {"process": CHUNKS, "scale": CHUNKS}


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_pools_gain_as_well(
    kind: str, make_client: Callable[..., DiracClient], two_files: list[Path], tmp_path: Path
) -> None:
    """Without a dask client the second run finds all steps, in threads and in processes."""
    ran = [run(executor(kind, make_client), two_files, tmp_path / "log", make_processor())[1] for _ in range(2)]
    assert ran == [{"process": CHUNKS, "select": CHUNKS, "scale": CHUNKS}, {"process": CHUNKS}]


def test_a_report_of_a_run_shows_the_steps_inside(
    make_client: Callable[..., DiracClient], two_files: list[Path], tmp_path: Path
) -> None:
    """One report covers all graphs of a run, and its picture leads from each step to what called it."""
    executed = executor("dask", make_client)
    with executed.client.reporting() as report:
        run(executed, two_files, tmp_path / "log", make_processor())
    rows = {row.name: (row.ran, row.cut_off) for row in report.summary().rows}
    assert rows["Analysis"] == rows["select"] == (CHUNKS, 0)
    assert rows["scale"] == (CHUNKS, CHUNKS)
    after = {box.name: {follower.name for follower in box.after} for box in _boxes(report.plan.steps, report.records)}
    assert after["select"] == after["scale"] == {"Analysis"}
    assert after["Analysis"] == {"reduce"}


def events_of(file: Path, **options: Any) -> Any:
    """Return the events of a file, none of them read."""
    return NanoEventsFactory.from_root(
        {str(file): "Events"}, schemaclass=NanoAODSchema, mode="virtual", **options
    ).events()


def test_a_hit_reads_no_event(two_files: list[Path]) -> None:
    """Looking a step up by lazy events leaves them unread."""

    @step
    def high(jets: Any) -> Any:
        return ak.to_numpy(ak.sum(jets.pt > 50, axis=1))

    first = high(events_of(two_files[0]).Jet)
    events = events_of(two_files[0])
    assert high(events.Jet).tolist() == first.tolist()
    assert not events.Jet.layout.is_any_materialized
    assert high(events_of(two_files[1]).Jet).tolist() != first.tolist()


def test_what_was_read_before_changes_no_key(two_files: list[Path]) -> None:
    """A step's key is the same whether the one before it read the columns or was loaded."""

    class Trace:
        def __init__(self) -> None:
            self.names: list[str] = []

        def __cache_token__(self) -> str:
            return "trace"

        def __call__(self, name: str) -> None:
            self.names.append(name)

    trace = Trace()

    @step
    def first(jets: Any) -> Any:
        trace("first")
        return ak.sum(jets.pt > 50)

    @step
    def second(jets: Any) -> Any:
        trace("second")
        return ak.sum(jets.pt > 60)

    for _ in range(3):
        jets = events_of(two_files[0]).Jet
        first(jets)
        second(jets)
    assert trace.names == ["first", "second"]


def test_ranges_of_a_file_are_told_apart(two_files: list[Path]) -> None:
    """The same columns of other events are another input."""

    @step
    def total(jets: Any) -> float:
        return float(ak.sum(jets.pt))

    chunks = [events_of(two_files[0], entry_start=start, entry_stop=start + 20) for start in (0, 20, 40)]
    assert len({total(chunk.Jet) for chunk in chunks}) == 3


MUTATIONS: dict[str, Callable[[Any], Any]] = {
    "a field of events": lambda events: events.__setitem__("extra", events.MET.pt * 2),
    "a field of a collection": lambda events: events.Jet.__setitem__("pt", events.Jet.pt * 2),
    "an array in place": lambda events: ak.to_numpy(events.MET.pt).__imul__(2),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_step_that_changes_events_is_not_kept(mutation: str, two_files: list[Path], store_url: str) -> None:
    """Fields added to events and numbers changed in place are noticed: a warning, and nothing is kept."""
    change = MUTATIONS[mutation]

    @step
    def careless(events: Any) -> float:
        change(events)
        return float(ak.sum(events.MET.pt))

    with warnings.catch_warnings(record=True, action="always") as seen:
        careless(events_of(two_files[0]))
    process().writer.flush()
    kept = list(open_store(store_url).scan())
    if mutation == "a field of a collection":
        # events.Jet is made anew each time it is asked for: the events that were given are as they were.
        assert [info.name for info in kept] == ["careless"]
    else:
        assert any("changed what it was given" in str(warning.message) for warning in seen)
        assert kept == []


def test_whole_collections_are_not_read_to_be_kept(
    two_files: list[Path], store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that hands a lot of lazy columns on is not made to read them: it says what to return instead."""
    monkeypatch.setattr("cachingclient.hashing.libraries.awkward.links.MOST_UNREAD_COLUMNS", 2)

    @step
    def lazy(events: Any) -> Any:
        return events.Jet

    jets = events_of(two_files[0])
    with warnings.catch_warnings(record=True, action="always") as seen:
        result = lazy(jets)
    assert not result.layout.is_any_materialized
    assert any(
        issubclass(warning.category, CacheWarning) and "not read yet" in str(warning.message) for warning in seen
    )
    process().writer.flush()
    assert list(open_store(store_url).scan()) == []


def test_results_know_the_events_they_come_from(two_files: list[Path]) -> None:
    """What methods of jets reach through their events is there whether the step ran or was loaded."""

    @step
    def leading(events: Any) -> Any:
        return ak.materialize(events.Jet[events.Jet.pt > 20])

    @step
    def pairs(events: Any) -> Any:
        return ak.zip({"jet": ak.firsts(events.Jet), "met": events.MET}, depth_limit=1)

    for _ in range(3):
        events = events_of(two_files[0])
        for jets in (leading(events), pairs(events).jet):
            assert type(jets).__name__.startswith("Jet")
            assert jets._events().MET.pt.to_list() == events.MET.pt.to_list()
        forget()


def test_events_from_elsewhere_are_not_kept(two_files: list[Path], store_url: str) -> None:
    """Jets that a step opens itself are linked to a file that no argument names: they are not kept, with a warning."""

    @step
    def opened(number: int) -> Any:
        return ak.materialize(events_of(two_files[number]).Jet)

    with pytest.warns(CacheWarning, match="none of its arguments comes from"):
        opened(0)
    process().writer.flush()
    assert list(open_store(store_url).scan()) == []


def test_results_from_memory_may_be_changed(two_files: list[Path]) -> None:
    """A field added to a result, or numbers changed in it, is not seen by who gets it next."""

    @step
    def selected(events: Any) -> Any:
        return ak.zip({"pt": ak.materialize(events.MET.pt)})

    first = selected(events_of(two_files[0]))
    before = first.pt.to_list()
    first["extra"] = first.pt * 2
    np.asarray(first.layout.contents[0].data)[:] = 0
    second = selected(events_of(two_files[0]))
    assert second.fields == ["pt"]
    assert second.pt.to_list() == before


def test_views_of_a_closed_file_cost_no_result(two_files: list[Path], store_url: str) -> None:
    """Lazy columns whose file is gone when they are to be kept: the step's result is what it is without a cache."""

    @step
    def handed_on(events: Any) -> Any:
        return ak.zip({"pt": events.MET.pt})

    events = events_of(two_files[0])
    two_files[0].unlink()
    with warnings.catch_warnings(record=True, action="always"):
        result = handed_on(events)
    assert not result.layout.is_any_materialized
    with pytest.raises((OSError, TypeError)):  # what uproot makes of a file that is gone
        ak.materialize(result)
    process().writer.flush()
    assert list(open_store(store_url).scan()) == []
