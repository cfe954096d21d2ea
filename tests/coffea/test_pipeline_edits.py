"""Pipelines of AGC's and TopEFT's shape after each edit of the page's table: what runs; results are plain's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

processor = pytest.importorskip("coffea.processor")

from coffea.nanoevents import NanoAODSchema  # noqa: E402
from coffea.processor.executor import DEFAULT_METADATA_CACHE  # noqa: E402

from tests.coffea.conftest import ROOT, write_events  # noqa: E402
from tests.coffea.pipelines import EDITS, SOURCES  # noqa: E402

if TYPE_CHECKING:
    from cachingclient import DiracClient

SAMPLES = ("ttbar", "wjets", "single_top")
MORE_FILES, MORE_SAMPLES = "one more file of a sample", "one more sample that is run, too"


def fileset(folder: Path, edit: str) -> dict[str, Any]:
    """Return the files of all samples, two each; a file and a sample more where that is the edit."""
    numbers = dict.fromkeys(SAMPLES, 2)
    if edit == MORE_FILES:
        numbers["wjets"] = 3
    if edit == MORE_SAMPLES:
        numbers["ww"] = 1
    found = {}
    for name, count in numbers.items():
        files = [folder / f"{name}{number}.root" for number in range(count)]
        for file in files:
            if not file.exists():
                write_events(file, sum(file.name.encode()))
        metadata = {"process": name, "variation": "nominal", "nevts": 120}
        found[f"{name}__nominal"] = {"files": {str(file): "Events" for file in files}, "metadata": metadata}
    return found


def run(executor: Any, source: str, files: dict[str, Any]) -> dict[str, Any]:
    """Run a pipeline, all as in a new session; histograms come as bytes."""
    DEFAULT_METADATA_CACHE.clear()
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(source, names)
    runner = processor.Runner(executor=executor, schema=NanoAODSchema, chunksize=60)
    found = runner(files, processor_instance=names["make"]())
    return {
        name: (value.axes, value.view(flow=True).tobytes()) if hasattr(value, "axes") else value
        for name, value in found.items()
    }


def table() -> dict[tuple[str, str], int]:
    """Return the page's table: how many chunks run after each edit of each pipeline."""
    found = {}
    for line in (ROOT / "docs" / "coffea.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0] in EDITS:
            found[cells[0], cells[1]] = int(cells[2].split()[0])
    return found


@pytest.mark.parametrize("pipeline", SOURCES)
def test_chunks_run_as_the_table_says(
    pipeline: str, make_client: Callable[..., DiracClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each edit is one of the pipeline as it was, in a session of its own; the results equal plain coffea's."""
    monkeypatch.setattr(NanoAODSchema, "warn_missing_crossrefs", False)
    plain, source = processor.IterativeExecutor(status=False), SOURCES[pipeline]

    def ran(text: str, files: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        client = make_client()
        found = run(processor.DaskExecutor(client=client, status=False), text, files)
        client.flush()
        client.close()
        records = [record for report in client.reports for record in report.records if record.action == "ran"]
        return Counter(record.name for record in records)[type_name(source)], found

    assert ran(source, fileset(tmp_path, ""))[0] == 2 * len(SAMPLES)
    told = {edit: runs for (name, edit), runs in table().items() if name == pipeline}
    assert told.keys() == EDITS[pipeline].keys()
    for edit, (old, new) in EDITS[pipeline].items():
        assert old in source
        text, files = source.replace(old, new) if old else source, fileset(tmp_path, edit)
        runs, found = ran(text, files)
        assert runs == told[edit], edit
        assert found == run(plain, text, files), edit


def type_name(source: str) -> str:
    """Return the name of a pipeline's processor, after which its chunks are called."""
    return source.partition("(ProcessorABC)")[0].rpartition("class ")[2]
