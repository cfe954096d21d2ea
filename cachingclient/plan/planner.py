"""From a graph to a plan: what to load, what to run, what is not needed, and why.

Planning does no I/O but the batched look-ups it is given, and knows neither stores nor clients:

1. every step gets its step key, from the leaves up (`hashing.step_keys`);
2. from the wanted keys down, steps are looked up, a batch at a time (`search`); a step that is found
   is loaded, and nothing above it is followed; one that is missing is run, and what it needs is looked up next.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from itertools import islice

from dask.utils import key_split

from cachingclient.graph import Alias, GraphNode, Key, NestedContainer, Task, TaskGraph, moves_data
from cachingclient.hashing.identity import Identity
from cachingclient.hashing.keys import Code, Step
from cachingclient.hashing.libraries.coffea_metadata import COFFEA_METADATA, items_of, reads_metadata, remote_files
from cachingclient.hashing.step_keys import Merkle
from cachingclient.plan.chunk_notes import Part, remember
from cachingclient.plan.hidden import shown_values
from cachingclient.plan.plan import Plan
from cachingclient.plan.search import search
from cachingclient.plan.steps import Action, Constraints, Find, PlannedStep, compared
from cachingclient.storage import EntryInfo

MOST_VALUES = 100
"""How many arguments with code of the user's in them are noted a plan."""


def make_plan(lowered: TaskGraph, wanted: Iterable[Key], merkle: Merkle, find: Find, constraints: Constraints) -> Plan:
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
    constraints
        What is known of single steps.

    Examples
    --------
    >>> from operator import add
    >>> from cachingclient.graph import TaskRef
    >>> nodes = {"a": Task("a", add, 1, 2), "b": Task("b", add, TaskRef("a"), 1)}
    >>> plan = make_plan(TaskGraph(nodes, {}), ["b"], Merkle({}), lambda keys: {}, Constraints())
    >>> plan.steps["a"].action
    <Action.RUN: 'run'>
    """
    wanted = frozenset(wanted)
    if "coffea.processor" in sys.modules:
        merkle.inputs.prefetch(remote_files(lowered.nodes.values()))
    identities = merkle.steps(lowered.nodes, wanted)
    refused = dict.fromkeys(constraints.impure & identities.keys(), "the user called it not pure")
    refused |= _what_moves(identities, lowered.nodes)
    refused |= constraints.elsewhere(merkle, identities)
    refused |= _what_varies(identities, lowered.nodes, constraints.drawn)
    if refused:
        _refuse(refused, identities, lowered.nodes)
    found = search(lowered.nodes, wanted, identities, find, constraints)
    hits = found.hits
    needed = _needed(lowered.nodes, wanted, hits, constraints)
    steps = dict(_decide(lowered.nodes, needed, identities, hits, constraints))
    if "coffea.processor" in sys.modules:
        remember(dict(_parts_of(lowered.nodes, steps)))
    for key in found.refused.keys() & steps.keys():
        steps[key].miss = found.refused[key]
    to_run = [identities[key].code for key, step in steps.items() if step.action is Action.RUN]
    codes = {code.digest: code for code in to_run if code is not None}
    functions = {function.digest: function for code in codes.values() for function in code.functions}
    values = _values_with_code(merkle, codes.values()) if codes else {}
    noted = {**functions, **values}
    unknown = noted.keys() - constraints.seen
    constraints.seen.update(find(unknown) if unknown else ())
    seen = constraints.seen
    known = frozenset(code.digest for code in codes.values() if all(f.digest in seen for f in code.functions))
    new = tuple(each for digest, each in noted.items() if digest not in seen)
    lost = constraints.lost.union(found.refused)
    plan = Plan(steps, wanted, needed, lost, codes, known, new, identities, values=values)
    if codes:
        parts = (part.hex() for key in compared(steps, identities) for part in identities[key].parts)
        plan.shown = shown_values(merkle.looked_at, parts)
    return plan


def _parts_of(nodes: Mapping[Key, GraphNode], steps: Mapping[Key, PlannedStep]) -> Iterator[tuple[Key, Part]]:
    """Yield the events that coffea's own tasks are about, of those that are to run."""
    for key, step in steps.items():
        if step.action is Action.RUN:
            for item in items_of(nodes[key]):
                if isinstance(getattr(item, "entrystart", None), int):
                    file = item.fileuuid.hex() or item.filename
                    yield key, Part(step.name, file, item.treename, item.entrystart, item.entrystop)


def _values_with_code(merkle: Merkle, codes: Iterable[Code]) -> dict[str, Identity]:
    """Return some of the arguments that have code of the user's in them, such as a processor, by their digests."""
    inside = {value.digest: value for code in codes for value in code.values}
    given = (each for _, each in merkle.looked_at if isinstance(each, Identity) and each.is_users)
    return inside | {each.digest: each for each in islice(given, MOST_VALUES)}


def _what_moves(identities: Mapping[Key, Step], nodes: Mapping[Key, GraphNode]) -> dict[Key, str]:
    """Return the steps that feed a P2P shuffle: they move data between workers, and loading a result moves none."""
    barriers = [node for key, node in nodes.items() if moves_data(node) and key in identities]
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
        if step.code is not None and step.code.varying and step.key is not None and type(nodes.get(key)) is Task:
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
    constraints: Constraints,
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
        elif node is None or key in constraints.held:
            action = Action.HELD
        else:
            action = Action.LOAD if key in hits else Action.RUN
        keep = (
            action is Action.RUN and key not in constraints.unkept and type(node) is Task and identity.code is not None
        )
        dependencies = node.dependencies if node is not None else frozenset()
        yield key, PlannedStep(
            key, _name(key, node), action, step_key, identity.reason, hits.get(key), keep, dependencies,
            unkept=_unkept(node) if action is Action.RUN and key in constraints.unkept else "",
        )  # fmt: skip


def _unkept(node: GraphNode | None) -> str:
    """Return why results of a step are not to be kept."""
    return str(getattr(getattr(node, "func", None), "unkept", "cache=False"))


def _name(key: Key, node: GraphNode | None) -> str:
    """Return the name of a step; coffea's look at a file before a run has a key that tells nothing."""
    if type(node) is Task and "coffea.processor" in sys.modules and reads_metadata(node.func):
        return COFFEA_METADATA
    return sys.intern(key_split(key))  # dask makes a new one for each key


def _needed(
    nodes: Mapping[Key, GraphNode], wanted: Iterable[Key], hits: Mapping[Key, EntryInfo], constraints: Constraints
) -> set[Key]:
    """Return the keys that are loaded, run or held: all that no entry makes superfluous."""
    needed: set[Key] = set()
    waiting = list(wanted)
    while waiting:
        key = waiting.pop()
        if key in needed:
            continue
        needed.add(key)
        if key in nodes and key not in constraints.held and key not in hits:
            waiting.extend(nodes[key].dependencies)
    return needed
