"""What ``dask.annotate`` and `cachingclient.step` say of single tasks, taken from a graph."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import dask

from cachingclient.graph import Key, Task, TaskGraph, is_impure_map, with_function
from cachingclient.hashing.libraries.coffea_metadata import reads_metadata
from cachingclient.step import StepFunction, gives_no_result, step


def apply_annotations(lowered: TaskGraph) -> TaskGraph:
    """Make steps of the tasks that the user annotated with options: ``dask.annotate(cache={"ttl": 3600})``.

    What steps need of their workers becomes the annotation ``needs``, which a `VineCluster` heeds. dask's own
    ``resources`` would have a task wait for ever on a cluster whose workers name none.

    Raises
    ------
    TypeError
        If the annotation is neither a bool nor a dict of the options of `step`.
    """
    nodes = dict(lowered.nodes)
    around = dask.get_annotations().get("cache")  # of `submit` and `map`, whose graphs carry none
    annotated = {} if around is None else dict.fromkeys(nodes, around)
    for key, value in {**annotated, **lowered.annotations.get("cache", {})}.items():
        node = nodes.get(key)
        if isinstance(value, dict) and isinstance(node, Task) and not isinstance(node.func, StepFunction):
            if gives_no_result(node.func) is None:
                nodes[key] = with_function(node, step(**_options(value))(node.func))
        elif not isinstance(value, (bool, dict)):
            raise TypeError(f"the annotation cache is {value!r}; it takes True, False or a dict of options of step")
    needs = {
        key: dict(node.func.options.resources)
        for key, node in nodes.items()
        if isinstance(node, Task) and isinstance(node.func, StepFunction) and node.func.options.resources
    }
    if not needs:
        return TaskGraph(nodes, lowered.annotations)
    return TaskGraph(nodes, {**lowered.annotations, "needs": {**needs, **lowered.annotations.get("needs", {})}})


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of an annotation, all of which `step` takes."""
    known = [name for name in inspect.signature(step).parameters if name != "function"]
    for name in given:
        if name not in known:
            nearest = "".join(difflib.get_close_matches(str(name), known, 1))
            instead = f"did you mean {nearest!r}?" if nearest else f"it takes {', '.join(known)}"
            raise TypeError(f"the annotation cache has {name!r}; {instead}")
    return given


def uncached(lowered: TaskGraph) -> frozenset[Key]:
    """Return the keys that the user wants neither loaded nor kept, by annotation or by ``@step(cache=False)``."""
    if dask.get_annotations().get("cache") is False:
        return frozenset(lowered.nodes)
    annotated = {key for key, value in lowered.annotations.get("cache", {}).items() if value is False}
    marked = {
        key
        for key, node in lowered.nodes.items()
        if isinstance(node, Task) and isinstance(node.func, StepFunction) and not node.func.options.cache
    }
    return frozenset(annotated | marked)


def impure_keys(expr: Any, graph: TaskGraph, keys: Iterable[Key]) -> Iterator[Key]:
    """Yield the wanted keys of a ``map(pure=False)``, but for those that coffea calls impure to have them run again.

    Its executor sends its look at the files so, before each run. What it finds there is the same as long as the files
    are, and whether they are is seen without it.
    """
    if not is_impure_map(expr):
        return
    for key in keys:
        node = graph.nodes.get(key)
        if not (isinstance(node, Task) and "coffea.processor" in sys.modules and reads_metadata(node.func)):
            yield key
