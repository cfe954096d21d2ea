"""A processor, runs of it by coffea's DaskExecutor, and what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from distributed import Client

processor = pytest.importorskip("coffea.processor")

from coffea.nanoevents import NanoAODSchema  # noqa: E402
from coffea.processor.executor import DEFAULT_METADATA_CACHE  # noqa: E402

CHUNKS = 4


def make_processor(cut: float = 30.0, fails: str = "") -> Any:
    """Return a processor whose class goes to the workers by value, as one of a notebook does."""
    import awkward as ak
    import hist
    from coffea.processor import ProcessorABC

    class Analysis(ProcessorABC):
        def __init__(self) -> None:
            self.cut = cut

        def process(self, events: Any) -> Any:
            if fails == "always":
                raise ValueError("this chunk can't be processed")
            with open(events.metadata["log"], "a") as log:
                log.write("process\n")
            jets = events.Jet[events.Jet.pt > self.cut]
            filled = hist.Hist.new.Reg(20, 0, 200, name="pt").StrCat([], growth=True, name="dataset").Weight()
            filled.fill(ak.flatten(jets.pt), dataset=events.metadata["dataset"])
            return {"pt": filled, "events": len(events)}

        def postprocess(self, accumulator: Any) -> Any:
            return accumulator

    return Analysis()


def fileset(files: list[Path], log: Path) -> dict[str, Any]:
    """Return a data set; its metadata tell the processor where to leave a trace of each call."""
    return {"ttbar": {"files": {str(file): "Events" for file in files}, "metadata": {"log": str(log), "xsec": 1.0}}}


def run(client: Client, files: list[Path], log: Path, *, executor: dict[str, Any] | None = None, **options: Any) -> Any:
    """Run the processor as an analyst does; gives what coffea returns."""
    DEFAULT_METADATA_CACHE.clear()
    used = options.pop("processor", None) or make_processor()
    executed = processor.DaskExecutor(client=client, status=False, **(executor or {}))
    runner = processor.Runner(executor=executed, schema=NanoAODSchema, chunksize=30, **options)
    return runner(fileset(files, log), processor_instance=used)


def calls(log: Path) -> int:
    """How often `process` ran."""
    return len(log.read_text().splitlines()) if log.exists() else 0


def same(one: Any, other: Any) -> bool:
    """Whether two results are equal, their histograms bit for bit."""
    return (
        one["events"] == other["events"]
        and one["pt"].axes == other["pt"].axes
        and one["pt"].view(flow=True).tobytes() == other["pt"].view(flow=True).tobytes()
    )
