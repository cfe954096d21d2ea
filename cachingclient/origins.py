"""What results are made from, remembered as graphs: a result that is only found needs no future of what it came from.

A chain of ``client.map`` calls is planned a call at a time. Steps that are too quick to be kept are sent to run, and
then what comes after them is found. Were their futures held back in case that entry is lost, all of them would run and
stay in memory for nothing. Their graphs are enough to compute it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cachingclient.graph import GraphNode, Key, Lowered


@dataclass(frozen=True, eq=False, slots=True)
class Origin:
    """A graph, and those that it takes results from, back to where nothing is taken.

    Attributes
    ----------
    graph
        The graph as the user gave it.
    options
        How it was sent: all of one origin are sent in the same way.
    before
        The origins of what it takes.

    Examples
    --------
    >>> from cachingclient.graph import Task, TaskRef
    >>> first = Origin(Lowered({"a": Task("a", abs, -1)}, {}), {}, ())
    >>> second = Origin(Lowered({"b": Task("b", abs, TaskRef("a"))}, {}), {}, (first,))
    >>> sorted(second.whole().nodes)
    ['a', 'b']
    """

    graph: Lowered
    options: Mapping[str, Any]
    before: tuple[Origin, ...]

    def whole(self) -> Lowered:
        """Return one graph of all."""
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
        return Lowered(nodes, annotations)


def origin_of(graph: Lowered, options: Mapping[str, Any], before: Iterable[Origin | None]) -> Origin | None:
    """Return the origin of a graph; None if something it takes has none, or was sent in another way.

    Parameters
    ----------
    graph
        The graph.
    options
        How it is sent.
    before
        The origin of each key that it takes from outside.
    """
    known: dict[Origin, None] = {}
    own = {name: value for name, value in options.items() if name != "span_metadata"}
    for origin in before:
        if origin is None or origin.options != own:
            return None
        known[origin] = None
    return Origin(graph, own, tuple(known))
