"""One run of the analysis in a process and on a cluster of its own: nothing is remembered but the store."""

from __future__ import annotations

import importlib
import json
import logging
import os
import pickle
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dask
from distributed import Client, LocalCluster

ROOT = Path(__file__).resolve().parents[2]
AGC = ROOT / "examples" / "agc"
TOPEFT = ROOT / "benchmarks" / "topeft"
PLAIN_OF = {"map": "delayed", "coffea, steps": "coffea"}
"""Front ends that are compared with another's plain run: the same work is sent."""
MODULES = {"coffea": "processors", "dask-awkward": "arrays", "topeft": "topeft"}
"""What is imported for a front before it is measured; for all others `assembly`."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What to run.

    `code` is the folder that holds `ttbar.py`, or `topeft.py`, `cache` the URL of the store (None: dask's own
    client), `budget` what `auto` may spend (None: the default), `front` one of `FRONTS` or `topeft`, `picture`
    a PNG file for the plan, `python` the interpreter.
    """

    name: str
    code: str
    manifest: str
    cache: str | None = None
    policy: str = "auto"
    budget: str | None = None
    mode: str = "readwrite"
    workers: int = 2
    front: str = "delayed"
    picture: str | None = None
    python: str = sys.executable


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it.

    `seconds` is what the user waits for the histograms, `flush_seconds` what the store takes to
    be complete after that, `process_seconds` all, with imports and the start of the cluster, and
    `cpu_seconds` the processor time of client, scheduler and workers in it: a busy machine
    changes it less. `work_seconds` is the part of it that the graph took until the store is
    complete, without imports and the start of anything. `ran` and `spent` are how many steps of each name ran, and
    what they took without the steps that they call.
    """

    histograms: dict[str, Any]
    steps: int
    seconds: float
    flush_seconds: float = 0.0
    process_seconds: float = 0.0
    cpu_seconds: float = 0.0
    work_seconds: float = 0.0
    planning_seconds: float = 0.0
    counts: dict[str, float] = field(default_factory=dict)
    ran: dict[str, int] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    report: str = ""


def run(phase: Phase) -> Outcome:
    """Run a phase in a new interpreter and wait for it."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with TemporaryDirectory(prefix="agc-") as folder:
        answer = Path(folder) / "outcome.pickle"
        # Workers are processes of their own and find the modules by the environment, another interpreter this package.
        places = [phase.code, str(AGC), str(TOPEFT), str(ROOT), os.environ.get("PYTHONPATH")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))}
        if phase.cache is None:
            environment["DASK_CACHINGCLIENT__MODE"] = "off"  # steps inside a processor are then plain functions
        order = json.dumps(asdict(phase))
        # -P: an edited copy of the analysis goes before the example's own module.
        command = [phase.python, "-P", __file__, order, str(answer)]
        done = subprocess.run(command, env=environment)
        if done.returncode:
            raise RuntimeError(f"the run {phase.name!r} ended with status {done.returncode}")
        outcome = pickle.loads(answer.read_bytes())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Outcome(**outcome, process_seconds=time.perf_counter() - started, cpu_seconds=cpu)


@contextmanager
def connected(phase: Phase) -> Iterator[Any]:
    """A client of the phase's kind; here and on its workers the analysis is imported, as after a first run."""
    with LocalCluster(
        n_workers=phase.workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,  # a heartbeat that meets the cluster's end is no news
    ) as cluster:
        if phase.cache is None:
            client = Client(cluster)
        else:
            from cachingclient import DiracClient

            # As the setting, so that the setting store-options goes with it; a plain folder takes none of them.
            dask.config.set({"cachingclient.store": phase.cache})
            if phase.cache.startswith("file:"):
                dask.config.set({"cachingclient.store-options": {}})
            if phase.budget is not None:
                dask.config.set({"cachingclient.keep-budget": phase.budget})
            client = DiracClient(cluster, policy=phase.policy, mode=phase.mode)
        with client:
            client.wait_for_workers(phase.workers)
            module = MODULES.get(phase.front.partition(",")[0], "assembly")
            client.run(importlib.import_module, module)
            importlib.import_module(module)
            if module in ("processors", "topeft"):
                importlib.import_module("dask.dataframe")  # which coffea's executor asks for, and takes a second
            yield client


def processor_time(client: Any) -> float:
    """The processor's seconds so far of this process, where the client and its scheduler run, and of the workers."""
    return time.process_time() + sum(client.run(time.process_time).values())


def work(phase: Phase) -> dict[str, Any]:
    """Run a phase here; gives the fields of its outcome."""
    from fronts import FRONTS
    from samples import read_samples

    edited = importlib.import_module("topeft" if phase.front == "topeft" else "ttbar")  # the one in phase.code
    if Path(str(edited.__file__)).parent != Path(phase.code):
        raise ImportError(f"{edited.__name__} comes from {edited.__file__}, not from {phase.code}")
    front = edited.run if phase.front == "topeft" else FRONTS[phase.front]
    samples = read_samples(Path(phase.manifest))
    with connected(phase) as client:
        before, started = processor_time(client), time.perf_counter()
        histograms = front(client, samples)
        done = time.perf_counter()
        outcome = {"histograms": histograms, "seconds": done - started}
        if phase.cache is None:
            prefixes = client.cluster.scheduler.task_prefixes.values()
            steps = sum(prefix.state_counts["memory"] for prefix in prefixes)
            worked = processor_time(client) - before
            return outcome | {"steps": steps, "work_seconds": worked, "counts": {"ran": steps}}
        client.flush()
        flushed, worked = time.perf_counter() - done, processor_time(client) - before
        return outcome | {"flush_seconds": flushed, "work_seconds": worked} | told(client, phase)


def told(client: Any, phase: Phase) -> dict[str, Any]:
    """What the client reports of everything it ran."""
    counts: dict[str, float] = {}
    ran: dict[str, int] = {}
    for report in client.reports:
        described = report.to_dict()
        for name, value in described["total"].items():
            if name != "name":
                counts[name] = counts.get(name, 0) + value
        for row in described["rows"]:
            ran[row["name"]] = ran.get(row["name"], 0) + row["ran"]
    if phase.picture is not None:
        client.report.picture(phase.picture)
    return {
        "steps": sum(report.to_dict()["steps"] for report in client.reports),
        "counts": counts,
        "ran": ran,
        "spent": own_seconds([record for report in client.reports for record in report.records]),
        "planning_seconds": sum(report.planning_seconds for report in client.reports),
        "report": str(client.report),
    }


def own_seconds(records: list[Any]) -> dict[str, float]:
    """What the steps of each name took, without the calls of steps inside them: these are known as `step/call`."""
    names, spent = {str(record.key): record.name for record in records}, dict.fromkeys((r.name for r in records), 0.0)
    for record in records:
        spent[record.name] += record.seconds
        around = names.get(str(record.key).rpartition("/")[0])
        if around is not None:
            spent[around] -= record.seconds
    return spent


if __name__ == "__main__":
    fields = work(Phase(**json.loads(sys.argv[1])))
    Path(sys.argv[2]).write_bytes(pickle.dumps(fields))
