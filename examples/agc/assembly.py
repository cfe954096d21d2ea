"""The steps of the analysis joined: as one delayed graph, or sent through a client one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dask
from columns import load_columns
from dask.delayed import Delayed
from distributed import Client, Future
from samples import CHUNK_SIZE, Chunk, Sample, chunked
from ttbar import (
    PT_RESOLUTION,
    btag_shifts,
    fill,
    jet_shifts,
    merge,
    normalise,
    observe,
    scale_jets,
    select_objects,
    smear_jets,
    variation_names,
    weigh_btags,
)

FAN_IN = 8

Node = Any  # a step that is not there yet: Delayed or Future
Each = Callable[..., list[Node]]  # calls a step for each element of its lists, as `map` does


def assemble(each: Each, samples: Sequence[Sample], chunk_size: int) -> Node:
    """Join the steps; what depends on a whole sample comes last, so that a new file adds to it."""
    chunks = list(chunked(samples, chunk_size))
    if not chunks:
        raise ValueError("samples hold no events")
    columns = each(
        load_columns,
        [chunk.file.path for chunk in chunks],
        [chunk.file.treename for chunk in chunks],
        [chunk.start for chunk in chunks],
        [chunk.stop for chunk in chunks],
    )
    events = each(select_objects, columns)
    varied = [i for i, chunk in enumerate(chunks) if samples[chunk.sample].variation == "nominal"]
    observed = observe_variations(each, chunks, events, varied)
    weighed = each(weigh_btags, [observed[i][0] for i in varied], [btag_shifts()] * len(varied))
    weighed_of = dict(zip(varied, weighed, strict=True))
    filled = each(
        fill,
        [samples[chunk.sample].process for chunk in chunks],
        [variation_names(samples[chunk.sample].variation) for chunk in chunks],
        observed,
        [weighed_of.get(i, {}) for i in range(len(chunks))],
    )
    of_sample: list[list[Node]] = [[] for _ in samples]
    for node, chunk in zip(filled, chunks, strict=True):
        of_sample[chunk.sample].append(node)
    totals = merged_in_tree(each, [nodes for nodes in of_sample if nodes])
    factors = [sample.factor for sample, nodes in zip(samples, of_sample, strict=True) if nodes]
    return each(merge, [each(normalise, totals, factors)])[0]


def observe_variations(each: Each, chunks: list[Chunk], events: list[Node], varied: list[int]) -> list[list[Node]]:
    """For each chunk what is observed: as it is, and in the chunks `varied` with its jets varied."""
    scaled = [(i, shift) for i in varied for shift in jet_shifts().values()]
    smeared = [(i, name, width) for i in varied for name, width in PT_RESOLUTION.items()]
    jets = each(scale_jets, [events[i] for i, _ in scaled], [shift for _, shift in scaled])
    jets += each(
        smear_jets,
        [events[i] for i, _, _ in smeared],
        [width for _, _, width in smeared],
        [chunks[i].seed(name) for i, name, _ in smeared],
    )
    owners = [*range(len(chunks)), *(i for i, _ in scaled), *(i for i, _, _ in smeared)]
    observed: list[list[Node]] = [[] for _ in chunks]
    for i, node in zip(owners, each(observe, events + jets), strict=True):
        observed[i].append(node)
    return observed


def merged_in_tree(each: Each, groups: list[list[Node]]) -> list[Node]:
    """One node for each group, merged `FAN_IN` at a time, so that few merges see a change."""
    while any(len(group) > 1 for group in groups):
        parts = [
            (number, group[start : start + FAN_IN])
            for number, group in enumerate(groups)
            for start in range(0, len(group), FAN_IN)
        ]
        nodes = each(merge, [part for _, part in parts])
        groups = [[] for _ in groups]
        for (number, _), node in zip(parts, nodes, strict=True):
            groups[number].append(node)
    return [group[0] for group in groups]


def build(samples: Sequence[Sample], chunk_size: int = CHUNK_SIZE) -> Delayed:
    """The whole analysis as one delayed graph; computing it gives the histograms."""

    def each(step: Callable[..., Any], *arguments: list[Any]) -> list[Node]:
        call = dask.delayed(step)
        return [call(*values) for values in zip(*arguments, strict=True)]

    return assemble(each, samples, chunk_size)


def run_with_map(client: Client, samples: Sequence[Sample], chunk_size: int = CHUNK_SIZE) -> Future:
    """The same steps through `client.map`; gives the future of the histograms."""
    return assemble(client.map, samples, chunk_size)
