"""A run for `opens.py`: prints, as JSON, the result, what was opened by whom, and how many tasks ran.

    python benchmarks/_opens_analysis.py WAY STORE LOG FILES...

Each process has an audit hook; it adds a line to the log for each file of events that is opened.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import dask

from cachingclient import DiracClient


def count_opens(log: str, who: str) -> None:
    """Note each open of a file of events in this process from now on."""

    def audit(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[0], (str, bytes)) and os.fsdecode(args[0]).endswith(".root"):
            handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(handle, f"{who}\n".encode())
            os.close(handle)

    sys.addaudithook(audit)


def stock(client: DiracClient, files: list[str]) -> Any:
    """Run coffea's Runner."""
    import awkward as ak
    from coffea import processor
    from coffea.nanoevents import BaseSchema

    class Jets(processor.ProcessorABC):  # type: ignore[misc]
        def process(self, events: Any) -> Any:
            return {"jets": int(ak.sum(events.Jet_pt > 30))}

        def postprocess(self, accumulator: Any) -> Any:
            return accumulator

    executor = processor.DaskExecutor(client=client, status=False)
    run = processor.Runner(executor=executor, schema=BaseSchema, chunksize=1000)
    return run({"ttbar": {"files": dict.fromkeys(files, "Events")}}, processor_instance=Jets())["jets"]


def steps(client: DiracClient, files: list[str]) -> Any:
    """Run a graph of steps."""
    import awkward as ak

    from cachingclient.coffea import Chunk, run_steps

    def load(chunk: Chunk) -> Any:
        return chunk.arrays(["Jet_pt"])

    def fill(events: Any) -> int:
        return int(ak.sum(events.Jet_pt > 30))

    return client.compute(run_steps({"ttbar": files}, load=load, fill=fill, chunksize=1000), sync=True)["ttbar"]


def dask_awkward(client: DiracClient, files: list[str], **options: Any) -> Any:
    """Make and compute an array of dask-awkward."""
    import dask_awkward as dak
    import uproot

    events = uproot.dask(dict.fromkeys(files, "Events"), **options)
    return int(dak.sum(events.Jet_pt > 30).compute())


def dask_awkward_closed(client: DiracClient, files: list[str]) -> Any:
    """Make and compute an array of dask-awkward, which looks into the first file alone beforehand."""
    return dask_awkward(client, files, open_files=False)


WAYS = {
    "coffea's Runner": stock,
    "run_steps": steps,
    "uproot.dask": dask_awkward,
    "uproot.dask, open_files=False": dask_awkward_closed,
}

if __name__ == "__main__":
    way, store, log, *given = sys.argv[1:]
    count_opens(log, "client")
    options: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    dask.config.set({"cachingclient.unobserved": [log]})  # what the hook writes is not the steps' own
    with DiracClient(cache=store, policy="all", **options) as client:
        client.run(count_opens, log, "workers")
        with client.reporting() as report:
            result = WAYS[way](client, given)
        ran = report.to_dict()["total"]["ran"]
    opens = Counter(Path(log).read_text().split()) if Path(log).exists() else Counter()
    print(json.dumps({"result": result, "client": opens["client"], "workers": opens["workers"], "ran": ran}))
