"""Runs of coffea over files that go by several names, and files that only look like others."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest
import uproot

processor = pytest.importorskip("coffea.processor")

from coffea.nanoevents import NanoAODSchema  # noqa: E402
from coffea.processor.executor import DEFAULT_METADATA_CACHE  # noqa: E402

if TYPE_CHECKING:
    from cachingclient import DiracClient

CHUNKS = 2


def make_processor(look: Callable[[Any], Any] = lambda events: None) -> Any:
    """Return a processor that also returns what a function finds out about its events."""

    class Analysis(processor.ProcessorABC):
        def __init__(self) -> None:
            self.look = look

        def process(self, events: Any) -> Any:
            with open(events.metadata["log"], "a") as log:
                log.write("process\n")
            out: dict[str, Any] = {}
            out["found"] = [self.look(events)]
            out["jets"] = int(ak.sum(events.Jet.pt > 30))
            out[events.metadata["dataset"]] = len(events)
            return out

        def postprocess(self, accumulator: Any) -> Any:
            return accumulator

    return Analysis()


class Runs:
    """Runs processors over files, each in a session of its own."""

    def __init__(self, make_client: Callable[..., DiracClient], log: Path) -> None:
        self.make_client, self.log = make_client, log

    def __call__(
        self, *files: object, used: Any = (None,), dataset: str = "ttbar", entries: int = 60, **options: Any
    ) -> Any:
        """Return the result of each processor, and how often process ran in all."""
        self.log.write_text("")
        client = self.make_client()
        described = {"files": dict.fromkeys(map(str, files), "Events"), "metadata": {"log": str(self.log)}}
        executor = processor.DaskExecutor(client=client, status=False, **options)
        runner = processor.Runner(executor=executor, schema=NanoAODSchema, chunksize=entries // CHUNKS)
        results = []
        for each in used:
            DEFAULT_METADATA_CACHE.clear()
            results.append(runner.run({dataset: described}, processor_instance=each or make_processor()))
        client.flush()
        client.close()
        return *results, len(self.log.read_text().splitlines())


def patch(file: Path, like: Path, pt: float = 500.0, values: int = 500) -> None:
    """Change events in place: the size, the identifier and the time stay those of another file."""
    with uproot.open(file) as opened:
        key = opened["Events"]["Jet_pt"].basket_key(0)
    content = bytearray(file.read_bytes())
    changed = np.frombuffer(content, ">f4", values, key.fSeekKey + key.fKeylen)
    changed[:] = pt
    file.write_bytes(content)
    status = like.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
