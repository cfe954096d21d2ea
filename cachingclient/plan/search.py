"""Looking up the entries that a graph needs, from the wanted keys towards their inputs.

The inputs of a step whose entry is found are not looked up.

Each round looks twice as many levels down as the one before, in one call: a long chain of missing steps takes few
calls, and a hit near the wanted keys costs few needless look-ups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cachingclient.graph import GraphNode, Key, Task
from cachingclient.hashing.keys import Step
from cachingclient.plan.steps import Constraints, Find
from cachingclient.storage import EntryInfo


@dataclass(frozen=True, slots=True)
class Found:
    """What is kept of a graph, by the keys of its steps: the entries to load, and why others must not be."""

    hits: dict[Key, EntryInfo]
    refused: dict[Key, str]


def search(
    nodes: Mapping[Key, GraphNode],
    wanted: Iterable[Key],
    identities: Mapping[Key, Step],
    find: Find,
    constraints: Constraints,
) -> Found:
    """Return the entries that are found.

    Parameters
    ----------
    nodes
        The graph.
    wanted
        The keys to begin with.
    identities
        The step behind each key.
    find
        Looks up entries by key, all in one call.
    constraints
        Which steps are not looked up.

    Examples
    --------
    >>> nodes = {"a": Task("a", abs, -1)}
    >>> search(nodes, ["a"], {"a": Step(bytes(16))}, lambda keys: dict.fromkeys(keys, "its entry"), Constraints()).hits
    {'a': 'its entry'}
    """
    hits: dict[Key, EntryInfo] = {}
    refused: dict[Key, str] = {}
    asked: set[Key] = set()
    untold = _after(constraints.untold, nodes, identities)
    frontier = list(wanted)
    depth = 1
    while frontier:
        batch = list(_below(frontier, depth, nodes, asked, constraints))
        asked.update(batch)
        by_step_key = {
            key: step.key.hex()
            for key in batch
            if (step := identities[key]).key is not None and type(nodes[key]) is Task
            and key not in constraints.unkept and key not in constraints.lost and key not in untold
        }  # fmt: skip
        found = find(by_step_key.values()) if by_step_key else {}
        for key in [key for key, step_key in by_step_key.items() if step_key in found]:
            info = found[by_step_key[key]]
            if why := constraints.objection(info, nodes[key]):
                refused[key] = why
            else:
                hits[key] = info
        frontier = list(_unasked(frontier, nodes, asked, hits, constraints))
        depth *= 2
    return Found(hits, refused)


def _after(untold: frozenset[Key], nodes: Mapping[Key, GraphNode], order: Iterable[Key]) -> set[Key]:
    """Return the steps that take some results, and those after them; what a step needs comes before it in the order."""
    found = set(untold)
    for key in order if untold else ():
        if key in nodes and not found.isdisjoint(nodes[key].dependencies):
            found.add(key)
    return found


def _below(
    top: Iterable[Key], depth: int, nodes: Mapping[Key, GraphNode], asked: set[Key], constraints: Constraints
) -> Iterator[Key]:
    """Yield the keys at most so many levels down that were not asked for, the top ones included."""
    level = list(top)
    seen = set(level)
    for _ in range(depth):
        below = []
        for key in level:
            if key not in nodes or key in constraints.held:
                continue
            if key not in asked:
                yield key
            for dependency in nodes[key].dependencies:
                if dependency not in seen:
                    seen.add(dependency)
                    below.append(dependency)
        level = below


def _unasked(
    top: Iterable[Key],
    nodes: Mapping[Key, GraphNode],
    asked: set[Key],
    hits: Mapping[Key, EntryInfo],
    constraints: Constraints,
) -> Iterator[Key]:
    """Yield the first keys on each way down that were not asked for."""
    waiting = list(top)
    seen = set(waiting)
    while waiting:
        key = waiting.pop()
        if key not in nodes or key in constraints.held or key in hits:
            continue
        if key not in asked:
            yield key
            continue
        fresh = nodes[key].dependencies - seen
        seen |= fresh
        waiting.extend(fresh)
