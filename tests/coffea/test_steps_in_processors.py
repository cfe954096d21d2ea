"""`@step`s that a processor calls: found again by content under every executor of coffea, with or without dask."""

from __future__ import annotations

import concurrent.futures
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import dask
import pytest

from cachingclient import step
from cachingclient.plan.picture import _boxes
from cachingclient.worker.context import configured_context
from tests.coffea.new_process import (  # noqa: F401 - fixtures are found by their names
    as_in_a_new_process,
    forget,
)

processor = pytest.importorskip("coffea.processor")

from coffea.nanoevents import NanoAODSchema  # noqa: E402
from coffea.processor.executor import DEFAULT_METADATA_CACHE  # noqa: E402

if TYPE_CHECKING:
    from cachingclient import DiracClient

CHUNKS = 4


def make_processor(cut: float = 30.0, bins: int = 20, scale_by: float = 1.1) -> Any:
    """Return a processor with a step that is a method, one that is a function, and equal calls of the latter."""
    import hist
    from coffea.processor import ProcessorABC

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
