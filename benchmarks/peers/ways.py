"""How each peer runs the analysis; all of this runs in the peer's own environment.

Each way takes the folder with the data and the peer's folder for results, and returns the results by name; the peer's
client is the default. Those of coffea have no merged histogram as a step: coffea adds what its chunks return.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
from distributed import Client, default_client

CHUNK = 10_000_000
"""How many events a chunk of coffea's has at most: more than a data set, as each step runs once for each."""


def results(data: Path, delayed: Callable[[Callable], Callable]) -> dict[str, Any]:
    """The results, each step wrapped; the analysis is imported by the run, not before."""
    from analysis import results as of_analysis

    return dict(of_analysis(files(data, "npz"), delayed))


def computed(data: Path, delayed: Callable[[Callable], Callable] = dask.delayed) -> dict[str, Any]:
    """Compute the graph by the client that is the default."""
    lazy = results(data, delayed)
    return dict(zip(lazy, dask.compute(*lazy.values()), strict=True))


def files(data: Path, kind: str) -> dict[str, str]:
    """The files of the data sets, by name."""
    return {path.stem: str(path) for path in sorted(data.glob(f"*.{kind}"))}


def plain(data: Path, store: Path) -> dict[str, Any]:
    """dask alone."""
    return computed(data)


def persist(data: Path, store: Path) -> dict[str, Any]:
    """dask, which is told to hold the results."""
    lazy = results(data, functools.partial(dask.delayed, pure=True))
    held = dask.persist(*lazy.values())
    return dict(zip(lazy, dask.compute(*held), strict=True))


def joblib(data: Path, store: Path) -> dict[str, Any]:
    """Each step is cached by a Memory, inside its task."""
    from joblib import Memory

    memory = Memory(store, verbose=0)
    return computed(data, lambda step: dask.delayed(memory.cache(step)))


def threads(data: Path, store: Path) -> dict[str, Any]:
    """dask alone, in threads of this process instead of on the cluster."""
    with dask.config.set(scheduler="threads", num_workers=2):
        return computed(data)


def graphchain(data: Path, store: Path) -> dict[str, Any]:
    """The graph is changed by graphchain; in threads, for what it makes can't be sent to a cluster's scheduler."""
    from graphchain import optimize

    with dask.config.set(delayed_optimize=functools.partial(optimize, location=str(store))):
        return threads(data, store)


def dask_dirac(data: Path, store: Path) -> dict[str, Any]:
    """The client is dask-dirac's; with keys that are the same in each process, or it does not find the merging."""
    return computed(data, functools.partial(dask.delayed, pure=True))


def ours(data: Path, store: Path) -> dict[str, Any]:
    """The client is cachingclient's; what it keeps is written when the run is over."""
    found = computed(data)
    default_client().flush()
    return found


def fileset(data: Path) -> dict[str, Any]:
    """What coffea calls the data sets."""
    return {name: {"files": {path: "Events"}} for name, path in files(data, "root").items()}


def coffea(data: Path, store: Path, checkpointer: Any = None) -> dict[str, Any]:
    """A processor, by coffea's runner on dask."""
    from chunks import Histograms
    from coffea import processor
    from coffea.nanoevents import BaseSchema

    executor = processor.DaskExecutor(client=default_client(), status=False)
    run = processor.Runner(executor=executor, schema=BaseSchema, chunksize=CHUNK, checkpointer=checkpointer)
    return dict(run(fileset(data), Histograms()))


def checkpointer(data: Path, store: Path) -> dict[str, Any]:
    """The same with coffea's checkpoints in one folder for all runs."""
    from coffea.processor import SimpleCheckpointer

    return coffea(data, store, SimpleCheckpointer(str(store)))


def ours_coffea(data: Path, store: Path) -> dict[str, Any]:
    """The same with cachingclient's client in place of dask's."""
    found = coffea(data, store)
    default_client().flush()
    return found


def workflow(data: Path, store: Path) -> dict[str, Any]:
    """The same processor in a workflow of coffea-workflow, a chunk a data set."""
    from coffea import processor
    from coffea.nanoevents import BaseSchema
    from coffea_workflow import Analysis, ExecutorConfig, Fileset, RunConfig, Step, Workflow, run

    sets = Step(name="sets", step_type=Fileset, builder="ways:fileset", builder_params={"data": data}, output="fileset")
    analysis = Step(
        name="histograms",
        step_type=Analysis,
        processor="chunks:Histograms",
        runner_params={"schema": BaseSchema, "chunksize": CHUNK, "skipbadfiles": True},
        input="fileset",
        output="histograms",
    )
    whole = Workflow()
    whole.add(sets)
    whole.add(analysis, depends_on=[sets])
    executor = ExecutorConfig(executor=processor.DaskExecutor(client=default_client(), status=False))
    ended = run(whole, RunConfig(strategy="by_dataset", executor_config=executor, cache_dir=store))
    payload = ended["results"]["histograms"]
    if payload["failures"]:
        raise RuntimeError(payload["failures"])
    return dict(payload["processor_result"][0])


WAYS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "plain": plain,
    "threads": threads,
    "persist": persist,
    "joblib": joblib,
    "graphchain": graphchain,
    "dask-dirac": dask_dirac,
    "coffea": coffea,
    "SimpleCheckpointer": checkpointer,
    "coffea-workflow": workflow,
    "ours": ours,
    "ours, all": ours,
    "ours, coffea": ours_coffea,
}
IMPORTS = {
    "joblib": ("pandas", "joblib"),
    "graphchain": ("pandas", "graphchain"),
    "dask-dirac": ("pandas", "dask_dirac"),
    "SimpleCheckpointer": ("pandas", "coffea.processor", "coffea.nanoevents"),
    "coffea-workflow": ("pandas", "coffea.processor", "coffea.nanoevents", "coffea_workflow"),
    "ours": ("pandas", "cachingclient"),
    "ours, all": ("pandas", "cachingclient"),
    "ours, coffea": ("pandas", "coffea.processor", "coffea.nanoevents", "cachingclient"),
    "persist": ("pandas",),
}
"""What is imported before the runs of a peer."""


def client_of(peer: str, cluster: Any, store: Path) -> Any:
    """The client that a peer works with."""
    if peer.startswith("ours"):
        from cachingclient import DiracClient

        return DiracClient(cluster, cache=store.as_uri(), policy="all" if peer == "ours, all" else "auto")
    if peer == "dask-dirac":
        from dask_dirac import DiracClient as Theirs

        return Theirs(cluster, cache_location=store.as_uri())
    return Client(cluster)
