"""The lineage of unread hits: the graphs from which a hit can be computed again if its entry is lost.

A chain of ``client.map`` calls is planned one call at a time. A step that is too quick to be kept is sent to run, and
then the step after it turns out to be a hit. If the client held the futures of the quick steps in case the hit's entry
is lost, all quick steps would run and stay in the workers' memory for nothing. So the client keeps their graphs only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cachingclient.graph import GraphNode, Key, TaskGraph


@dataclass(frozen=True, eq=False, slots=True)
class Origin:
    """A graph together with the earlier graphs that it takes results from, and those that these take results from.

    Attributes
    ----------
    graph
        The graph as the user gave it.
    options
        The options that it was sent with; all graphs of one origin have the same.
    before
        The origins of the earlier graphs.

    Examples
    --------
    >>> from cachingclient.graph import Task, TaskRef
    >>> first = Origin(TaskGraph({"a": Task("a", abs, -1)}, {}), {}, ())
    >>> second = Origin(TaskGraph({"b": Task("b", abs, TaskRef("a"))}, {}), {}, (first,))
    >>> sorted(second.whole().nodes)
    ['a', 'b']
    """

    graph: TaskGraph
    options: Mapping[str, Any]
    before: tuple[Origin, ...]

    def whole(self) -> TaskGraph:
        """Return the union of the graph and all earlier graphs."""
        origins = [self]
        seen = set(origins)
        for origin in origins:  # it grows meanwhile
            fresh = [each for each in origin.before if each not in seen]
            seen.update(fresh)
            origins += fresh
        nodes: dict[Key, GraphNode] = {}
        annotations: dict[str, dict[Key, Any]] = {}
        for origin in reversed(origins):
            nodes.update(origin.graph.nodes)
            for kind, values in origin.graph.annotations.items():
                annotations.setdefault(kind, {}).update(values)
        return TaskGraph(nodes, annotations)


def origin_of(graph: TaskGraph, options: Mapping[str, Any], before: Iterable[Origin | None]) -> Origin | None:
    """Return the origin of a graph; None if one of its inputs has no origin, or was sent with other options.

    Parameters
    ----------
    graph
        The graph.
    options
        The options that it is sent with.
    before
        The origin of each key that it takes from an earlier graph.
    """
    known: dict[Origin, None] = {}
    own = {name: value for name, value in options.items() if name != "span_metadata"}
    for origin in before:
        if origin is None or origin.options != own:
            return None
        known[origin] = None
    return Origin(graph, own, tuple(known))
