"""The ways to send the analysis to a cluster, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from assembly import build, run_with_map
from samples import CHUNK_SIZE, Sample
from ttbar import Histograms

Front = Callable[[Any, list[Sample]], Histograms]


def delayed(client: Any, samples: list[Sample]) -> Histograms:
    """One graph, each step of each chunk a task."""
    return client.compute(build(samples)).result()


def mapped(client: Any, samples: list[Sample]) -> Histograms:
    """The same steps, each sent by `client.map`."""
    return run_with_map(client, samples).result()


def arrays(client: Any, samples: list[Sample]) -> Histograms:
    """Lazy arrays and histograms, where dask is old enough for dask-awkward."""
    from arrays import run_as_arrays

    return run_as_arrays(client, samples)


def opaque(client: Any, samples: list[Sample]) -> Histograms:
    """A coffea processor: one task a chunk."""
    from processors import Ttbar

    return run_processor(client, samples, Ttbar())


def stepped(client: Any, samples: list[Sample]) -> Histograms:
    """A coffea processor that calls steps."""
    from processors import SteppedTtbar

    return run_processor(client, samples, SteppedTtbar())


def assigned(client: Any, samples: list[Sample]) -> Histograms:
    """A coffea processor with a model, the long step of which is called again and again."""
    from generator.train import train
    from processors import AssignedTtbar

    return run_processor(client, samples, AssignedTtbar(train()))


def run_processor(client: Any, samples: list[Sample], instance: Any, schema: Any = None) -> Histograms:
    from coffea import processor
    from coffea.nanoevents import BaseSchema
    from processors import fileset, normalised

    executor = processor.DaskExecutor(client=client, status=False)
    run = processor.Runner(executor=executor, schema=schema or BaseSchema, chunksize=CHUNK_SIZE)
    return normalised(run(fileset(samples), processor_instance=instance), samples)


FRONTS: dict[str, Front] = {
    "delayed": delayed,
    "map": mapped,
    "dask-awkward": arrays,
    "coffea": opaque,
    "coffea, steps": stepped,
    "coffea, model": assigned,
}
