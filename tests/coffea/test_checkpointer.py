"""Checkpoints that are given back only to the code that made them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest

from cachingclient import CacheWarning
from cachingclient.coffea import Checkpointer, checkpointer
from cachingclient.storage import open_store
from cachingclient.warn_once import NoteKeeper

processor = pytest.importorskip("coffea.processor")

from coffea.nanoevents import NanoAODSchema  # noqa: E402


@pytest.fixture(autouse=True)
def _quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was warned of before."""
    monkeypatch.setattr(NanoAODSchema, "warn_missing_crossrefs", False)
    monkeypatch.setattr(checkpointer, "_notes", NoteKeeper())


def make_processor(cut: float = 30.0, factor: int = 1, after: int = 0, body: str = "") -> Any:
    """Return a processor that leaves a trace of each call."""

    class Analysis(processor.ProcessorABC):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.cut = cut
            self.label = "any"

        def process(self, events: Any) -> Any:
            with open(events.metadata["log"], "a") as log:
                log.write("process\n")
            return {"count": int(ak.sum(events.Jet.pt > self.cut)) * self.scaled()}

        def scaled(self) -> int:
            return factor

        def postprocess(self, accumulator: Any) -> Any:
            return accumulator if not after else {"count": after}

    class Drawing(Analysis):
        def process(self, events: Any) -> Any:
            super().process(events)
            return {"count": float(np.random.default_rng().random())}

    return {"": Analysis, "draws": Drawing}[body]()


@pytest.fixture
def run(two_files: list[Path], tmp_path: Path, store_url: str) -> Callable[..., tuple[Any, int]]:
    """Run a processor with checkpoints; gives the output and how many chunks were processed."""

    def go(used: Any, *, chunksize: int = 30, url: str = store_url, **options: Any) -> tuple[Any, int]:
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        runner = processor.Runner(
            executor=processor.IterativeExecutor(status=False),
            schema=NanoAODSchema,
            chunksize=chunksize,
            checkpointer=Checkpointer(url, **options),
        )
        files = {"ttbar": {"files": {str(file): "Events" for file in two_files}, "metadata": {"log": str(log)}}}
        out = runner(files, processor_instance=used)
        return out, len(log.read_text().splitlines()) if log.exists() else 0

    return go


def test_a_second_run_processes_nothing(run: Callable[..., tuple[Any, int]]) -> None:
    """The same code on the same chunks finds its outputs."""
    first, processed = run(make_processor())
    assert processed == 4
    assert run(make_processor()) == (first, 0)


CHANGES: dict[str, dict[str, Any]] = {"a setting": {"cut": 40.0}, "another method": {"factor": 2}}


@pytest.mark.parametrize("change", CHANGES)
def test_other_code_processes_again(change: str, run: Callable[..., tuple[Any, int]]) -> None:
    """What process reads and calls counts."""
    first, _ = run(make_processor())
    second, processed = run(make_processor(**CHANGES[change]))
    assert processed == 4
    assert second != first


def test_what_process_does_not_use_counts_not(run: Callable[..., tuple[Any, int]]) -> None:
    """Neither postprocess nor an attribute that process does not read matters."""
    run(make_processor())
    used = make_processor(after=7)
    used.label = "other"
    assert run(used) == ({"count": 7}, 0)


def test_other_chunks_are_processed(run: Callable[..., tuple[Any, int]]) -> None:
    """Another range of events is another output."""
    run(make_processor())
    assert run(make_processor(), chunksize=60)[1] == 2


def test_versions_are_told_apart(run: Callable[..., tuple[Any, int]]) -> None:
    """A version stands for what the checkpointer can't see."""
    run(make_processor(), version="NanoAOD")
    assert run(make_processor(), version="BaseSchema")[1] == 4


def test_random_outputs_are_not_kept(run: Callable[..., tuple[Any, int]], store_url: str) -> None:
    """A process that draws without a seed runs each time, with a warning."""
    with pytest.warns(CacheWarning, match="without a seed"):
        assert run(make_processor(body="draws"))[1] == 4
    assert list(open_store(store_url).scan()) == []


def test_a_broken_store_costs_no_result(run: Callable[..., tuple[Any, int]], tmp_path: Path) -> None:
    """With nothing kept anywhere the run goes through, with a warning."""
    first, _ = run(make_processor())
    folder = tmp_path / "broken"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        run(make_processor(), url=folder.as_uri())
        for file in folder.rglob("*"):
            if file.is_file():
                file.write_bytes(b"damaged")
        again, processed = run(make_processor(), url=folder.as_uri())
    assert (again, processed) == (first, 4)
