"""A warm run opens no file of events: counted by audit hooks in the client and in the workers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.coffea.conftest import write_events
from tests.support.waiting import until

PROGRAM = """
import json, os, sys
from coffea import processor
from coffea.nanoevents import NanoAODSchema
from cachingclient import DiracClient
from cachingclient.coffea import run_steps
from analysis import Analysis, fill, load


def count_opens(log):
    def audit(event, args):
        if event == "open" and isinstance(args[0], (str, bytes)) and os.fsdecode(args[0]).endswith(".root"):
            handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(handle, (os.path.basename(os.fsdecode(args[0])) + "\\n").encode())
            os.close(handle)

    sys.addaudithook(audit)


def opened(log):
    return sorted(set(open(log).read().split())) if os.path.exists(log) else []


if __name__ == "__main__":
    way, *files = sys.argv[1:]
    log = os.path.join(os.getcwd(), "log")
    if os.path.exists(log):
        os.remove(log)
    NanoAODSchema.warn_missing_crossrefs = False
    count_opens(log)
    fileset = {"ttbar": {"files": {file: "Events" for file in files}}}
    with DiracClient(n_workers=1, threads_per_worker=2, dashboard_address=":0") as client:
        client.run(count_opens, log)
        if way == "stock":
            executor = processor.DaskExecutor(client=client, status=False)
            run = processor.Runner(executor=executor, schema=NanoAODSchema, chunksize=30)
            with client.reporting() as report:
                out = run(fileset, processor_instance=Analysis())["jets"]
        else:
            with client.reporting() as report:
                out = client.compute(run_steps(fileset, load=load, fill=fill, chunksize=30), sync=True)["ttbar"]
        client.flush()
        rows = {row.name: row.ran for row in report.summary().rows}
    print(json.dumps([int(out), opened(log), rows, str(report)]))
"""
ANALYSIS = """
import awkward as ak
from coffea.processor import ProcessorABC


class Analysis(ProcessorABC):
    def process(self, events):
        return {"jets": int(ak.sum(events.Jet.pt > 30))}

    def postprocess(self, accumulator):
        return accumulator


def load(chunk):
    return chunk.arrays(["Jet_pt"])


def fill(events):
    return int(ak.sum(events.Jet_pt > 30))
"""


@pytest.fixture
def run(tmp_path: Path, run_program: Callable[..., str]) -> Callable[..., list[object]]:
    """Run an analysis in a process of its own; gives the result, the files that were opened, and what ran."""
    import json

    (tmp_path / "main.py").write_text(PROGRAM)
    (tmp_path / "analysis.py").write_text(ANALYSIS)
    return lambda way, *files: json.loads(run_program("main.py", way, *map(str, files)).splitlines()[-1])


def settled(*files: Path) -> None:
    """Wait until files are so old that a second change would show in their times."""
    newest = max(max(file.stat().st_mtime, file.stat().st_ctime) for file in files)
    until(lambda: time.time() - newest > 2.5)


@pytest.mark.parametrize(
    ("way", "entries"),
    [
        pytest.param("stock", 60, id="small"),
        pytest.param("stock", 4000, id="large", marks=pytest.mark.matrix),
        pytest.param("run_steps", 60, id="run_steps", marks=pytest.mark.matrix),
    ],
)
def test_a_warm_run_opens_nothing(way: str, entries: int, run: Callable[..., list[object]], tmp_path: Path) -> None:
    """In the client or in a worker, until a file is another one: then that is opened, and no other."""
    files = [write_events(tmp_path / f"events{number}.root", number, entries) for number in range(3)]
    settled(*files)
    first, opened, _, _ = run(way, *files)
    assert opened == [file.name for file in files]
    again, opened, ran, told = run(way, *files)
    assert again == first
    assert not any(ran.values())
    assert opened == []
    assert way != "stock" or "get_metadata" in str(told)
    # Another file in its place, with the time of the old one.
    status = files[1].stat()
    write_events(files[1], 7, entries)
    os.utime(files[1], ns=(status.st_atime_ns, status.st_mtime_ns))
    settled(*files)
    changed, opened, _, _ = run(way, *files)
    assert changed != first
    assert opened == [files[1].name]


@pytest.mark.matrix
def test_a_damaged_memory_is_made_again(
    run: Callable[..., list[object]], two_files: list[Path], tmp_path: Path
) -> None:
    """Nothing fails, each file is looked at once, and the next run opens none."""
    settled(*two_files)
    first = run("stock", *two_files)[0]
    memory = tmp_path / "cache" / "v1" / "files"
    [notes] = memory.iterdir()
    notes.write_bytes(notes.read_bytes().replace(b"xxh3:", b"XXH3:"))
    assert run("stock", *two_files)[:2] == [first, sorted(file.name for file in two_files)]
    assert run("stock", *two_files)[:2] == [first, []]
