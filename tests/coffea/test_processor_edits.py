"""Edits of a processor and of its configuration: chunks run for what they read, and give what a plain client gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client

pytest.importorskip("coffea.processor")

from tests.coffea.test_dask_executor import CHUNKS, calls, run

if TYPE_CHECKING:
    from cachingclient import DiracClient

CONFIG = "{'global': {'bins': 20, 'title': 'pt'}, 'cuts': {'pt': 30.0}, 'unused': {'lumi': 41.5}}"
PROCESSOR = f"""
import awkward as ak
import hist
from coffea.processor import ProcessorABC

class Analysis(ProcessorABC):
    def __init__(self):
        self.config = {CONFIG}
        self.label = "unused"

    def good(self, jets):
        return jets[jets.pt > self.config["cuts"]["pt"]]

    def process(self, events):
        with open(events.metadata["log"], "a") as log:
            log.write("process\\n")
        filled = hist.Hist.new.Reg(self.config["global"]["bins"], 0, 200, name="pt").Weight()
        return {{"pt": filled.fill(ak.flatten(self.good(events.Jet).pt)), "events": len(events)}}

    def postprocess(self, accumulator):
        return {{"label": self.label, **accumulator}}
"""
EDITS = {
    "an unused key": ("41.5", "59.7", 0),
    "a text beside what is read": ("'title': 'pt'", "'title': 'mass'", 0),
    "an attribute that postprocess reads": ('label = "unused"', 'label = "other"', 0),
    "postprocess": ('"label": self', '"named": self', 0),
    "a cut": ("'pt': 30.0", "'pt': 50.0", CHUNKS),
    "the bins": ("'bins': 20", "'bins': 10", CHUNKS),
    "an inner method": ("jets.pt >", "jets.pt + 5 >", CHUNKS),
    "what looks at all": ('"events": len(events)', '"events": len(events), "keys": len(self.config)', CHUNKS),
}


def make(source: str) -> Any:
    """Return the processor of a source, whose class goes by value."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(source, names)
    return names["Analysis"]()


def shown(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result with its histogram as bytes."""
    return result | {"pt": (result["pt"].axes, result["pt"].view(flow=True).tobytes())}


def test_chunks_run_for_what_process_reads(
    make_client: Callable[..., DiracClient], plain_client: Client, two_files: list[Path], tmp_path: Path
) -> None:
    """Each edit gives what a plain client gives, also where its chunks are those of another processor."""
    log, other = tmp_path / "log", tmp_path / "plain" / "log"
    other.parent.mkdir()
    run(make_client(), two_files, log, processor=make(PROCESSOR))
    make_client().flush()
    assert calls(log) == CHUNKS
    for edit, (old, new, runs) in EDITS.items():
        source, before = PROCESSOR.replace(old, new), calls(log)
        assert source != PROCESSOR
        found = run(make_client(), two_files, log, processor=make(source))
        make_client().flush()
        assert calls(log) - before == runs, edit
        assert shown(found) == shown(run(plain_client, two_files, other, processor=make(source))), edit
