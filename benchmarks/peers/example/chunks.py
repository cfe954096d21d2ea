"""The same analysis as a processor of coffea, whose chunks are the data sets."""

from __future__ import annotations

from typing import Any

import awkward
from analysis import VARIABLES
from coffea import processor
from steps import correct, fill, prepare, select


class Histograms(processor.ProcessorABC):
    """Runs the steps on a chunk."""

    def process(self, events: Any) -> dict[str, Any]:
        columns = {name: awkward.to_numpy(events[name]) for name in ("pt", "eta")}
        table = correct(select(prepare(columns)))
        name = events.metadata["dataset"]
        return {f"{variable} of {name}": fill(table, variable).to_numpy() for variable in VARIABLES}

    def postprocess(self, accumulator: dict[str, Any]) -> dict[str, Any]:
        return accumulator
