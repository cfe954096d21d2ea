"""Where all of a processor's dict counts, the report says which line has it so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

processor = pytest.importorskip("coffea.processor")

from coffea.nanoevents import NanoAODSchema  # noqa: E402
from coffea.processor.executor import DEFAULT_METADATA_CACHE  # noqa: E402

from cachingclient.hashing.identify import identify  # noqa: E402
from cachingclient.hashing.libraries.coffea_processors import processing_of  # noqa: E402
from cachingclient.plan.ingredients import ingredient_changes  # noqa: E402
from tests.coffea.conftest import ROOT  # noqa: E402

if TYPE_CHECKING:
    from cachingclient import DiracClient

SOURCE = """
from coffea.processor import ProcessorABC
def helper(config):
    return config["cut"]
class Analysis(ProcessorABC):
    def __init__(self):
        self.config = {"cut": 30, "unused": 1}
        self.samples = {"ttbar": 831.8, "wjets": 61457.0}
        self.cuts = {"ttbar": 1, "wjets": 2}
    def process(self, events):
        dataset = events.metadata["dataset"]
        cut = self.cuts[dataset]
        for name in self.samples:
            cut += len(name)
        return {"count": len(events) * self.passes(cut)}
    def passes(self, cut):
        return helper(self.config) + cut
    def postprocess(self, accumulator):
        return accumulator
"""
WHOLE = "(all of it counts: {} takes it as a whole or by a key that can't be known, not by constant keys or {})"
OF_EVENTS = "events.metadata['dataset']"
EDITS = (
    ('"unused": 1', '"unused": 2', "config changed: ", "passes", "analysis.py:17"),
    ('"wjets": 61457.0', '"wjets": 61.0', "samples changed: ", "process", "analysis.py:13"),
)
OF_ONE = ('"ttbar": 1', '"ttbar": 5', "cuts['ttbar'] changed: 1 -> 5")


def made(source: str) -> Any:
    """The processor of a source."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "analysis.py", "exec"), names)
    return names["Analysis"]()


@pytest.mark.parametrize(("old", "new", "changed", "method", "line"), EDITS, ids=["passed on", "gone through"])
def test_the_file_and_the_line_are_told(old: str, new: str, changed: str, method: str, line: str) -> None:
    """As in the page's example."""
    before, now = (identify(processing_of(made(source))) for source in (SOURCE, SOURCE.replace(old, new)))
    (told,) = ingredient_changes(before.ingredients, now.ingredients, now.places)
    assert changed in told
    assert told.endswith(WHOLE.format(line, OF_EVENTS))
    page = " ".join((ROOT / "docs" / "coffea.md").read_text().split())
    assert WHOLE.format("analysis.py:13", OF_EVENTS) in page


def test_the_report_tells_it(client: DiracClient, two_files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a processor that was sent by value by the name of its method; not of a part that the metadata tell."""
    monkeypatch.setattr(NanoAODSchema, "warn_missing_crossrefs", False)

    def because(source: str) -> dict[str, str]:
        DEFAULT_METADATA_CACHE.clear()
        executor = processor.DaskExecutor(client=client, status=False)
        run = processor.Runner(executor=executor, schema=NanoAODSchema, chunksize=60)
        with client.reporting() as report:
            run({"ttbar": {"files": {str(two_files[0]): "Events"}}}, processor_instance=made(source))
        client.flush()
        return report.to_dict()["because"]

    because(SOURCE)
    source = SOURCE
    for old, new, changed, method, _ in EDITS:
        source = source.replace(old, new)
        told = because(source)["Analysis"]
        assert changed in told
        assert told.count("all of it counts") == 1
        assert WHOLE.format(method, OF_EVENTS) in told
    told = because(source.replace(*OF_ONE[:2]))["Analysis"]
    assert OF_ONE[2] in told
    assert "all of it counts" not in told
