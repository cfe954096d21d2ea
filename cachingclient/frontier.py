"""The entries that a graph needs, looked up from the wanted keys down: nothing above one that is found is asked for.

Each round looks twice as many levels down as the one before, in one call: a long chain of missing steps takes few
calls, and a hit near the top costs little that was not needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cachingclient.graph import GraphNode, Key, Task
from cachingclient.hashing.identities import Step
from cachingclient.plan import Choices, Find
from cachingclient.storage import EntryInfo


def search(
    nodes: Mapping[Key, GraphNode], wanted: Iterable[Key], identities: Mapping[Key, Step], find: Find, choices: Choices
) -> dict[Key, EntryInfo]:
    """Return the entries that are found, by the keys of their steps.

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
    choices
        What is not to be looked up.

    Examples
    --------
    >>> nodes = {"a": Task("a", abs, -1)}
    >>> search(nodes, ["a"], {"a": Step(bytes(16))}, lambda keys: dict.fromkeys(keys, "its entry"), Choices())
    {'a': 'its entry'}
    """
    hits: dict[Key, EntryInfo] = {}
    asked: set[Key] = set()
    frontier = list(wanted)
    depth = 1
    while frontier:
        batch = list(_below(frontier, depth, nodes, asked, choices))
        asked.update(batch)
        by_step_key = {
            key: step.key.hex()
            for key in batch
            if (step := identities[key]).key is not None and type(nodes[key]) is Task
            and key not in choices.unkept and key not in choices.lost
        }  # fmt: skip
        found = find(by_step_key.values()) if by_step_key else {}
        hits.update((key, found[step_key]) for key, step_key in by_step_key.items() if step_key in found)
        frontier = list(_unasked(frontier, nodes, asked, hits, choices))
        depth *= 2
    return hits


def _below(
    top: Iterable[Key], depth: int, nodes: Mapping[Key, GraphNode], asked: set[Key], choices: Choices
) -> Iterator[Key]:
    """Yield the keys at most so many levels down that were not asked for, the top ones included."""
    level = list(top)
    seen = set(level)
    for _ in range(depth):
        below = []
        for key in level:
            if key not in nodes or key in choices.held:
                continue
            if key not in asked:
                yield key
            for dependency in nodes[key].dependencies:
                if dependency not in seen:
                    seen.add(dependency)
                    below.append(dependency)
        level = below


def _unasked(
    top: Iterable[Key], nodes: Mapping[Key, GraphNode], asked: set[Key], hits: Mapping[Key, EntryInfo], choices: Choices
) -> Iterator[Key]:
    """Yield the first keys on each way down that were not asked for."""
    waiting = list(top)
    seen = set(waiting)
    while waiting:
        key = waiting.pop()
        if key not in nodes or key in choices.held or key in hits:
            continue
        if key not in asked:
            yield key
            continue
        fresh = nodes[key].dependencies - seen
        seen |= fresh
        waiting.extend(fresh)
