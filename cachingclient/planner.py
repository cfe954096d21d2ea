"""From a graph to a plan: what to load, what to run, what is not needed, and why.

Planning does no I/O but the batched look-ups it is given, and knows neither stores nor clients:

1. every step gets its step key, from the leaves up (`hashing.merkle`);
2. from the wanted keys down, steps are looked up, a batch at a time (`frontier`); a step that is found
   is loaded, and nothing above it is followed; one that is missing is run, and what it needs is looked up next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping

from dask.utils import key_split

from cachingclient.frontier import search
from cachingclient.graph import Alias, GraphNode, Key, Lowered, NestedContainer, Task, moves_data
from cachingclient.hashing.identities import Step
from cachingclient.hashing.merkle import Merkle
from cachingclient.plan import Action, Choices, Find, Plan, PlannedStep
from cachingclient.storage import EntryInfo


def make_plan(lowered: Lowered, wanted: Iterable[Key], merkle: Merkle, find: Find, choices: Choices) -> Plan:
    """Return the plan of a graph.

    Parameters
    ----------
    lowered
        The graph.
    wanted
        The keys to compute.
    merkle
        Gives the step keys; it knows the steps of earlier calls.
    find
        Looks up entries by key, all in one call.
    choices
        What is known of single steps.

    Examples
    --------
    >>> from operator import add
    >>> from cachingclient.graph import TaskRef
    >>> nodes = {"a": Task("a", add, 1, 2), "b": Task("b", add, TaskRef("a"), 1)}
    >>> plan = make_plan(Lowered(nodes, {}), ["b"], Merkle({}), lambda keys: {}, Choices())
    >>> plan.steps["a"].action
    <Action.RUN: 'run'>
    """
    wanted = frozenset(wanted)
    identities = merkle.steps(lowered.nodes, wanted)
    refused = dict.fromkeys(choices.impure & identities.keys(), "the user called it not pure")
    refused |= _what_moves(identities, lowered.nodes)
    refused |= _what_varies(identities, lowered.nodes, choices.drawn)
    if refused:
        _refuse(refused, identities, lowered.nodes)
    hits = search(lowered.nodes, wanted, identities, find, choices)
    needed = _needed(lowered.nodes, wanted, hits, choices)
    steps = dict(_decide(lowered.nodes, needed, identities, hits, choices))
    to_run = [identities[key].code for key, step in steps.items() if step.action is Action.RUN]
    codes = {code.digest: code for code in to_run if code is not None}
    functions = {function.digest: function for code in codes.values() for function in code.functions}
    unknown = functions.keys() - choices.seen
    choices.seen.update(find(unknown) if unknown else ())
    seen = choices.seen
    known = frozenset(code.digest for code in codes.values() if all(f.digest in seen for f in code.functions))
    new = tuple(function for digest, function in functions.items() if digest not in seen)
    return Plan(steps, wanted, needed, choices.lost, codes, known, new, identities)


def _what_moves(identities: Mapping[Key, Step], nodes: Mapping[Key, GraphNode]) -> dict[Key, str]:
    """Return what feeds a P2P shuffle, which hands data on itself: loading its result would not."""
    barriers = [nodes[key] for key in identities.keys() & nodes.keys() if moves_data(nodes[key])]
    waiting = [dependency for barrier in barriers for dependency in barrier.dependencies]
    found: dict[Key, str] = {}
    while waiting:
        key = waiting.pop()
        found[key] = "it moves data between workers, for a P2P shuffle"
        node = nodes.get(key)
        if isinstance(node, Alias):
            waiting.append(node.target)
    return found


def _what_varies(
    identities: Mapping[Key, Step], nodes: Mapping[Key, GraphNode], drawn: MutableMapping[bytes, Key]
) -> dict[Key, str]:
    """Return equal steps where the same call may give different results: ten draws are not one draw."""
    varying: dict[bytes, list[Key]] = {}
    for key, step in identities.items():
        if step.key is not None and step.code is not None and type(nodes.get(key)) is Task and step.code.varying:
            varying.setdefault(step.key, []).append(key)
    found: dict[Key, str] = {}
    for step_key, keys in varying.items():
        if len(keys) > 1 or drawn.setdefault(step_key, keys[0]) != keys[0]:
            code = identities[keys[0]].code
            assert code is not None
            found |= dict.fromkeys(keys, f"called more than once alike, and {code.varying[0]}")
    return found


def _refuse(refused: Mapping[Key, str], identities: dict[Key, Step], nodes: Mapping[Key, GraphNode]) -> None:
    """Make steps uncacheable, and by key all that come after them: they may still be found by content."""
    for key, reason in refused.items():
        identities[key] = Step(None, reason)
    for key, step in list(identities.items()):  # what a step needs comes before it
        if step.key is None or key not in nodes:
            continue
        lacking = next((needed for needed in nodes[key].dependencies if identities[needed].key is None), None)
        if lacking is not None:
            reason = f"it needs {key_split(lacking)!r}, which is uncacheable"
            identities[key] = Step(None, reason, step.code, step.parts, step.inputs)


def _decide(
    nodes: Mapping[Key, GraphNode],
    needed: set[Key],
    identities: Mapping[Key, Step],
    hits: Mapping[Key, EntryInfo],
    choices: Choices,
) -> Iterator[tuple[Key, PlannedStep]]:
    """Yield what to do about each step."""
    for key, identity in identities.items():
        node = nodes.get(key)
        step_key = identity.key.hex() if identity.key is not None else None
        if type(node) is Alias:
            action = Action.ALIAS
        elif node is not None and (not isinstance(node, Task) or isinstance(node, NestedContainer)):
            action = Action.DATA
        elif key not in needed:
            action = Action.PRUNED
        elif node is None or key in choices.held:
            action = Action.HELD
        else:
            action = Action.LOAD if key in hits else Action.RUN
        keep = action is Action.RUN and key not in choices.unkept and type(node) is Task and identity.code is not None
        dependencies = node.dependencies if node is not None else frozenset()
        yield key, PlannedStep(
            key, key_split(key), action, step_key, identity.reason, hits.get(key), keep, dependencies
        )  # fmt: skip


def _needed(
    nodes: Mapping[Key, GraphNode], wanted: Iterable[Key], hits: Mapping[Key, EntryInfo], choices: Choices
) -> set[Key]:
    """Return the keys that are loaded, run or held: all that no entry makes superfluous."""
    needed: set[Key] = set()
    waiting = list(wanted)
    while waiting:
        key = waiting.pop()
        if key in needed:
            continue
        needed.add(key)
        if key in nodes and key not in choices.held and key not in hits:
            waiting.extend(nodes[key].dependencies)
    return needed
