"""The analysis as arrays of dask-awkward, one a sample, with histograms of `hist.dask`.

dask-awkward runs on dask 2025.3 at most. It joins steps between which nothing branches off to one
task: loading and selecting, varying and observing, and all that is filled of a chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import awkward as ak
import dask
import dask_awkward as dak
import hist.dask
import numpy as np
import ttbar
from columns import load_columns
from samples import CHUNK_SIZE, DataFile, Sample, chunked


class Types(NamedTuple):
    """What each step gives, without events: dask-awkward has to know before anything runs."""

    columns: ak.Array
    jets: ak.Array
    observed: ak.Array


def run_as_arrays(client: Any, samples: Sequence[Sample], chunk_size: int = CHUNK_SIZE) -> ttbar.Histograms:
    """Fill all histograms in one graph; what depends on a whole sample is done here, with what comes back."""
    samples = [sample for sample in samples if any(file.entries for file in sample.files)]
    types = types_in(samples[0].files[0])
    lazy = [fill_lazily(sample, varied(sample, chunk_size, types), types) for sample in samples]
    [filled] = dask.compute(lazy, scheduler=client)
    factors = [sample.factor for sample in samples]
    return ttbar.merge([ttbar.normalise(part, factor) for part, factor in zip(filled, factors, strict=True)])


def types_in(file: DataFile) -> Types:
    """What the steps give of no events of a file."""
    columns = load_columns(file.path, file.treename, 0, 0)
    jets = ttbar.select_objects(columns)
    return Types(type_of(columns), type_of(jets), type_of(observe(jets)))


def type_of(array: ak.Array) -> ak.Array:
    return ak.typetracer.typetracer_from_form(array.layout.form)


def varied(sample: Sample, chunk_size: int, types: Types) -> dict[str, dak.Array]:
    """The jets of a sample by variation, a chunk a partition."""
    chunks = list(chunked([sample], chunk_size))
    ranges = [(chunk.file.path, chunk.file.treename, chunk.start, chunk.stop) for chunk in chunks]
    columns = dak.from_map(load_columns, *zip(*ranges, strict=True), meta=types.columns)
    jets = dak.map_partitions(ttbar.select_objects, columns, meta=types.jets)
    if sample.variation != "nominal":
        return {sample.variation: jets}
    found = {"nominal": jets}
    for name, shift in ttbar.jet_shifts().items():
        found[name] = dak.map_partitions(ttbar.scale_jets, jets, shift, meta=types.jets)
    for name, width in ttbar.PT_RESOLUTION.items():
        seeds = dak.from_map(as_array, [chunk.seed(name) for chunk in chunks], meta=type_of(as_array(0)))
        found[name] = dak.map_partitions(smear_jets, jets, width, seeds, meta=types.jets)
    return found


def fill_lazily(sample: Sample, jets: dict[str, dak.Array], types: Types) -> dict[str, hist.dask.Hist]:
    """Histograms of a sample with all its variations."""
    shifts = ttbar.btag_shifts() if sample.variation == "nominal" else {}
    observed = {name: dak.map_partitions(observe, varied, meta=types.observed) for name, varied in jets.items()}
    histograms = {}
    for region, empty in ttbar.empty(sample.process, [*observed, *shifts]).items():
        histogram = histograms[region] = hist.dask.Hist(*empty.axes, storage=empty.storage_type())
        events = {name: ak.flatten(regions[region]) for name, regions in observed.items()}
        for name, columns in events.items():
            histogram.fill(observable=columns.value, process=sample.process, variation=name)
        for name, (jet, slope) in shifts.items():
            columns = events["nominal"]
            weight = ttbar.btag_weight(columns.jet_pt, jet, slope)
            histogram.fill(observable=columns.value, process=sample.process, variation=name, weight=weight)
    return histograms


def observe(jets: ak.Array) -> ak.Array:
    """What is filled, in one row with a list of events for each region."""
    regions = {region: ak.zip(columns, depth_limit=1) for region, columns in ttbar.observe(jets).items()}
    return ak.zip({region: ak.unflatten(events, [len(events)]) for region, events in regions.items()}, depth_limit=1)


def as_array(seed: int) -> ak.Array:
    return ak.Array(np.array([seed], np.uint64))


def smear_jets(jets: ak.Array, width: float, seed: ak.Array) -> ak.Array:
    return ttbar.smear_jets(jets, width, int(seed[0]))
