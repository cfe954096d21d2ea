"""From a graph to a plan: what to load, what to run, what is not needed, and why.

Planning does no I/O but the batched look-ups it is given, and knows neither stores nor clients:

1. every step gets its step key, from the leaves up (`hashing.merkle`);
2. from the wanted keys down, steps are looked up, a batch at a time; a step that is found is loaded, and
   nothing above it is followed; one that is missing is run, and the steps it needs are looked up next.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dask.utils import key_split

from cachingclient.graph import Alias, GraphNode, Key, Lowered, NestedContainer, Task, moves_data
from cachingclient.hashing.identities import Code, Step
from cachingclient.hashing.merkle import Merkle
from cachingclient.hashing.walk import Identity
from cachingclient.storage import EntryInfo

Find = Callable[[Iterable[str]], Mapping[str, EntryInfo]]


class Action(StrEnum):
    """What is done about a step."""

    LOAD = "load"
    RUN = "run"
    PRUNED = "pruned"
    HELD = "held"
    DATA = "data"
    ALIAS = "alias"


@dataclass(slots=True)
class PlannedStep:
    """One step of a plan.

    Attributes
    ----------
    key, name
        Its key in the graph, and its name.
    action
        What will be done.
    step_key
        32 hexadecimal characters; None if it is uncacheable.
    reason
        Why it is uncacheable, else empty.
    info
        The entry that it is loaded from.
    keep
        Whether its result may be kept.
    dependencies
        The keys it takes results from.
    unread
        Whether it is loaded only when somebody takes its result.
    """

    key: Key
    name: str
    action: Action
    step_key: str | None
    reason: str
    info: EntryInfo | None
    keep: bool
    dependencies: frozenset[Key]
    unread: bool = False


@dataclass
class Plan:
    """What will happen to each step of a graph. It prints as a table, in a notebook too.

    Attributes
    ----------
    steps
        Every step of the graph that the wanted keys depend on.
    wanted
        The keys that were asked for.
    needed
        The keys that are loaded, run or held: all that no entry makes superfluous.
    lost
        The keys whose entries could not be had: what is computed again replaces them.
    codes
        The code of the steps to run, by digest, where it is known.
    known_codes
        The digests of those codes that the store has seen before.
    new_functions
        The functions in them that it has not.
    details
        For each step its identity, as `Merkle` gave it.
    """

    steps: dict[Key, PlannedStep]
    wanted: frozenset[Key]
    needed: set[Key] = field(default_factory=set)
    lost: frozenset[Key] = frozenset()
    codes: dict[bytes, Code] = field(default_factory=dict)
    known_codes: frozenset[bytes] = frozenset()
    new_functions: tuple[Identity, ...] = ()
    details: Mapping[Key, Step] = field(default_factory=dict)

    def slim(self) -> None:
        """Let go of what only sending needed: a report may be kept for long."""
        self.details = {}
        self.needed = set()
        for step in self.steps.values():
            if step.info is not None and step.info.payload is not None:
                step.info = dataclasses.replace(step.info, payload=None)

    def learn(self, find: Find) -> None:
        """Look up what is known of steps that are not needed: how long they took is what is saved."""
        unknown = {
            step.step_key: step for step in self.steps.values() if step.action is Action.PRUNED and step.info is None
        }
        unknown.pop(None, None)
        for step_key, info in find([key for key in unknown if key is not None]).items() if unknown else ():
            unknown[step_key].info = dataclasses.replace(info, payload=None)

    def picture(self, path: Any) -> Any:
        """Draw the plan by step name into a PNG, SVG or PDF file."""
        from cachingclient.picture import draw

        return draw(self, path)

    def __str__(self) -> str:
        from cachingclient.summary import summarise

        return str(summarise(self))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from cachingclient.summary import summarise

        return summarise(self)._repr_html_()


@dataclass(frozen=True, slots=True)
class Choices:
    """What is known of single steps before anything is looked up.

    Attributes
    ----------
    impure
        Steps that the user called not pure: they have no identity.
    unkept
        Steps that the user wants neither loaded nor kept (``cache=False``). Those after them may be.
    held
        Keys whose results, or whose computation, the scheduler already has.
    lost
        Keys whose entries were found to be lost: they run.
    drawn
        The steps so far that may differ from call to call, and the key each was first called by.
    seen
        The digests of functions that the store is known to have seen; what is found is added.
    """

    impure: frozenset[Key] = frozenset()
    unkept: frozenset[Key] = frozenset()
    held: frozenset[Key] = frozenset()
    lost: frozenset[Key] = frozenset()
    drawn: MutableMapping[bytes, Key] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)


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
    hits = _look_up(lowered.nodes, wanted, identities, find, choices)
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


def _look_up(
    nodes: Mapping[Key, GraphNode], wanted: Iterable[Key], identities: Mapping[Key, Step], find: Find, choices: Choices
) -> dict[Key, EntryInfo]:
    """Return the entries that are found from the wanted keys down.

    Each round looks twice as many levels down as the one before, in one call: a long chain of
    missing steps takes few calls, and a hit near the top costs little that was not needed.
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
