"""dask: collections by their graphs, futures by the steps that make them; clients and actors have no identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachingclient.hashing.content_keys import key_of_collection
from cachingclient.hashing.digest import frame
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.keys import Step
from cachingclient.hashing.libraries.stdlib import refuse
from cachingclient.hashing.registry import register_function_hasher, register_hasher
from cachingclient.hashing.step_keys import Merkle

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk

for _name, _what in {
    "distributed.client.Client": "a dask client",
    "distributed.actor.Actor": "a dask actor, whose state changes",
    "distributed.core.Server": "a dask server",
    "distributed.deploy.cluster.Cluster": "a dask cluster",
    "distributed.queues.Queue": "a distributed queue",
    "distributed.variable.Variable": "a distributed variable",
    "distributed.lock.Lock": "a distributed lock",
    "distributed.semaphore.Semaphore": "a distributed semaphore",
    "distributed.event.Event": "a distributed event",
    "distributed.pubsub.Pub": "a distributed publisher",
    "distributed.pubsub.Sub": "a distributed subscriber",
}.items():
    refuse(_name, _what)


@register_hasher("dask.base.DaskMethodsMixin", subclasses=True)
def encode_collection(collection: Any, walk: Walk) -> bytes:
    """Return the encoding of a collection: its key is a name, and a name says nothing about an edited function."""
    return key_of_collection(collection, walk)


@register_function_hasher("dask.base", "unpack_collections.<locals>.repack")
def encode_repacking(function: Any, walk: Walk) -> bytes:
    """Return the encoding of dask's `repack`, which puts results in the place of collections, by its graph."""
    cells = dict(zip(function.__code__.co_freevars, (cell.cell_contents for cell in function.__closure__), strict=True))
    results = {cells["collections_token"]: Step(b"results of this step"[:16])}
    merkle = Merkle(results, walk.inputs, walk.environment)
    step = merkle.steps(cells["repack_dsk"], [cells["out"]])[cells["out"]]
    if step.key is None:
        raise Unidentifiable(step.reason)
    return frame(b"$repack:", [step.key])


@register_hasher("distributed.client.Future", subclasses=True)
def encode_future(future: Any, walk: Walk) -> bytes:
    """Return the encoding of a future by the step that makes it, if its client knows that."""
    step_key_of = getattr(future.client, "step_key_of", None)
    key = step_key_of(future.key) if step_key_of is not None else None
    if key is None:
        raise Unidentifiable(f"a future of an unknown step, {future.key!r}")
    return walk.encode(key)
