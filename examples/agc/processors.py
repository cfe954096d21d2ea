"""The analysis as coffea processors: all in one, with steps that a cache can look into, and with a model.

The first two fill the histograms of `assembly.py`. In the second the outer steps take events, which
are known by their file and range without being read, and ask the step before them for what they
need: where the last one is found, a single look-up stands for the whole chunk. The variations take
the selected jets, which are there by then, and those that are edited together are one step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import awkward as ak
import ttbar
from assignment import top_mass
from coffea import processor
from columns import columns_of
from samples import Chunk, DataFile, Sample

from cachingclient import step

Vary = tuple[Callable[..., ak.Array], Any]  # what varies the jets, and its parameters


def fileset(samples: list[Sample]) -> dict[str, Any]:
    """The samples as coffea takes them."""
    return {
        f"{sample.process}__{sample.variation}": {
            "files": {file.path: file.treename for file in sample.files},
            "metadata": {"process": sample.process, "variation": sample.variation},
        }
        for sample in samples
    }


def normalised(output: dict[str, ttbar.Histograms], samples: list[Sample]) -> ttbar.Histograms:
    """The sum of what a processor filled for each data set, at the luminosity of the data."""
    factors = {f"{sample.process}__{sample.variation}": sample.factor for sample in samples}
    return ttbar.merge([ttbar.normalise(filled, factors[dataset]) for dataset, filled in output.items()])


def chunk_of(metadata: dict[str, Any]) -> Chunk:
    """The range of events that coffea hands to a processor."""
    file = DataFile(metadata["filename"], metadata["treename"], metadata["entrystop"], metadata["fileuuid"])
    return Chunk(0, file, metadata["entrystart"], metadata["entrystop"])


def variations(metadata: dict[str, Any]) -> dict[str, Vary | None]:
    """What is done to the jets of a chunk, by the name of the variation."""
    if metadata["variation"] != "nominal":
        return {metadata["variation"]: None}
    chunk = chunk_of(metadata)
    shifts = {name: (ttbar.scale_jets, shift) for name, shift in ttbar.jet_shifts().items()}
    widths = {name: (ttbar.smear_jets, width, chunk.seed(name)) for name, width in ttbar.PT_RESOLUTION.items()}
    return {"nominal": None} | shifts | widths


class Ttbar(processor.ProcessorABC):
    """All of a chunk in one: dask and the cache see one task."""

    def process(self, events: ak.Array) -> dict[str, ttbar.Histograms]:
        varied = variations(events.metadata)
        observed = list(self.observe(events, varied))
        shifts = ttbar.btag_shifts() if "nominal" in varied else {}
        filled = ttbar.fill(events.metadata["process"], list(varied), observed, ttbar.weigh_btags(observed[0], shifts))
        return {events.metadata["dataset"]: filled}

    def observe(self, events: ak.Array, varied: dict[str, Vary | None]) -> Iterable[ttbar.Observed]:
        jets = ttbar.select_objects(columns_of(events))
        for vary in varied.values():
            yield ttbar.observe(jets if vary is None else vary[0](jets, *vary[1:]))

    def postprocess(self, accumulator: dict[str, ttbar.Histograms]) -> dict[str, ttbar.Histograms]:
        return accumulator


class SteppedTtbar(Ttbar):
    """The same in steps."""

    def observe(self, events: ak.Array, varied: dict[str, Vary | None]) -> Iterable[ttbar.Observed]:
        return observations(events, by_source(varied))


def by_source(varied: dict[str, Vary | None]) -> list[list[Vary | None]]:
    """The variations up and down of each source of uncertainty, in a row as they are edited together."""
    groups = groupby(varied, lambda name: name.rpartition("_")[0])
    return [[varied[name] for name in names] for _, names in groups]


@step
def observations(events: ak.Array, sources: list[list[Vary | None]]) -> list[ttbar.Observed]:
    jets = selected(events)
    return [found for source in sources for found in observed(jets, source)]


@step
def observed(jets: ak.Array, source: list[Vary | None]) -> list[ttbar.Observed]:
    return [ttbar.observe(jets if vary is None else vary[0](jets, *vary[1:])) for vary in source]


@step
def selected(events: ak.Array) -> ak.Array:
    return ttbar.select_objects(columns_of(events))


class AssignedTtbar(Ttbar):
    """With the top mass that a model finds; each variation is observed in full, as it is written most simply.

    The events of the variations of b-tagging are those of the nominal one: what is observed of them is found.
    """

    def __init__(self, model: Path) -> None:
        self.model = model

    def process(self, events: ak.Array) -> dict[str, ttbar.Histograms]:
        jets, lepton = ttbar.good_objects(columns_of(events))
        nominal = events.metadata["variation"] == "nominal"
        every = variations(events.metadata)
        observed, weighed = {}, {}
        for name in [name for name in every if not nominal or name in ("nominal", "pt_scale_up", "pt_res_up")]:
            vary = every[name]
            observed[name] = self.observe_with(jets if vary is None else vary[0](jets, *vary[1:]), lepton)
        for jet in range(ttbar.BTAG_JETS) if nominal else ():
            shifts = {name: shift for name, shift in ttbar.btag_shifts().items() if shift[0] == jet}
            weighed |= ttbar.weigh_btags(self.observe_with(jets, lepton), shifts)
        filled = ttbar.fill(events.metadata["process"], list(observed), list(observed.values()), weighed)
        return {events.metadata["dataset"]: filled}

    @step
    def observe_with(self, jets: ak.Array, lepton: ak.Array) -> ttbar.Observed:
        jets, passing = ttbar.in_regions(jets)
        one, two = (jets[passing[region]] for region in ("4j1b", "4j2b"))
        masses = top_mass(two, lepton[passing["4j2b"]], self.model)
        return {
            "4j1b": {"value": ak.to_numpy(ak.sum(one.pt, axis=1)), "jet_pt": ttbar.leading(one)},
            "4j2b": {"value": masses, "jet_pt": ttbar.leading(two)},
        }
