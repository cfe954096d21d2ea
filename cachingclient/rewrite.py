"""A plan into the graph that is sent: hits become `Load`s, steps to run are wrapped, the rest goes as it is."""

from __future__ import annotations

import dataclasses
import uuid
from collections import Counter
from collections.abc import Container, Mapping, MutableMapping
from typing import Any

from dask.utils import key_split
from distributed import Future

from cachingclient.context import Context
from cachingclient.graph import GraphNode, Key, Lowered, Task, TaskRef, annotated_as, runs_as_it_is, with_function
from cachingclient.inside import held_inside, loads_inside, reading_itself
from cachingclient.lazy import READER, Hold, is_held, resolve
from cachingclient.loading import Load, RunOnLoaded
from cachingclient.plan import Action, Plan, PlannedStep
from cachingclient.registry import Taken
from cachingclient.steps import RunAndKeep, RunWithin
from cachingclient.storage import EntryInfo, Store

MOST_SENT_PAYLOAD = 4096
"""Results up to this many bytes travel with the graph; larger ones are read by the worker."""


def rewrite(
    plan: Plan,
    lowered: Lowered,
    context: Context,
    taken: Mapping[Key, Taken],
    *,
    hold: bool = False,
    anew: bool = False,
) -> Lowered:
    """Return the graph to send.

    Parameters
    ----------
    plan
        What to do about each step.
    lowered
        The graph it was made for.
    context
        What all steps of the run share.
    taken
        What was sent before and the scheduler may still hold. A key must not come back to it with other
        dependencies, or for another step, so such a node is sent under a new name.
    hold
        Whether what is wanted and found is held unread until somebody takes it.
    anew
        Whether all that is neither wanted nor there already gets a new name, so that nothing can stand in its way.
    """
    sent: dict[Key, GraphNode] = {}
    renamed: dict[Key, Key | GraphNode] = {}
    names: dict[Key, Key] = {}
    inside = loads_inside(plan, lowered, context.store)
    read_there = {key for keys in inside.values() for key in keys}
    for key, step in plan.steps.items():
        if key not in plan.needed or key in read_there or step.action is Action.HELD:
            continue
        node = _node(step, lowered.nodes[key], plan, context)
        if key in inside:
            node = reading_itself(node, {each: _load(plan.steps[each], context, each) for each in inside[key]})
        if hold and key in plan.wanted and isinstance(node, Task) and isinstance(node.func, Load):
            node = with_function(node, Hold(dataclasses.replace(node.func, known_as=key)))
            step.unread = True
        if renamed and not renamed.keys().isdisjoint(node.dependencies):
            node = node.substitute(renamed)
        before = taken.get(key)
        free = before is None and not anew
        if not free and key not in plan.wanted and not _is_same(before, node, plan.details[key].key):
            renamed[key] = names[key] = name = f"{step.name}-{uuid.uuid4().hex}"
            node = _with_key(node, name)
        sent[node.key] = node
    return Lowered(sent, annotated_as(lowered.annotations, names) if names else lowered.annotations)


def read_what_is_held(
    sent: Mapping[Key, GraphNode],
    taken: Mapping[Key, Taken],
    known: Container[Key],
    readers: MutableMapping[Key, Key],
    again: Mapping[Key, Future[Any]],
) -> tuple[dict[Key, GraphNode], dict[Key, Key]]:
    """Return nodes that read those inputs which the scheduler holds unread, or with tasks between that do; and these.

    Parameters
    ----------
    sent
        The nodes.
    taken
        What was sent before.
    known
        The keys that this client has results of; another client's may be held unread too.
    readers
        The key of the task that reads each held key; those that are made here are added.
    again
        The future of what each one is computed by again that turned out to be lost.
    """
    outside = {key for node in sent.values() for key in node.dependencies}
    behind = {key: sent.get(key) or (taken[key].node if key in taken else None) for key in outside - readers.keys()}
    inside = held_inside(sent, {key: node for key, node in behind.items() if key not in again})
    sent = {key: reading_itself(node, inside[key]) if key in inside else node for key, node in sent.items()}
    outside = {key for node in sent.values() for key in node.dependencies}
    for key in outside - readers.keys() - again.keys():
        node = behind[key]
        if is_held(node) or (node is None and key not in known):
            readers[key] = f"{READER}{key_split(key)}-{uuid.uuid4().hex}"
    reading = outside & readers.keys() - again.keys()
    used: dict[Key, Key | GraphNode] = {key: again[key].key for key in outside & again.keys()}
    used |= {key: readers[key] for key in reading}
    if not used:
        return dict(sent), {}
    new: dict[Key, GraphNode] = {readers[key]: Task(readers[key], resolve, TaskRef(key)) for key in reading}
    for key, node in sent.items():
        new[key] = node if used.keys().isdisjoint(node.dependencies) else node.substitute(used)
    return new, {key: readers[key] for key in reading}


def sites_of_loads(plan: Plan, sent: Mapping[Key, GraphNode]) -> dict[str, dict[Key, str]]:
    """Return the annotation that sends loads to the sites where their entries were made, and are near."""
    sites = {
        key: (str(step.info.details["site"]), step.info.nbytes)
        for key, step in plan.steps.items()
        if step.action is Action.LOAD and step.info is not None and "site" in step.info.details
    }
    found: dict[Key, str] = {}
    for key, node in sent.items() if sites else ():
        sizes: Counter[str] = Counter()
        for each in sites.keys() & _what_it_reads(node):
            site, nbytes = sites[each]
            sizes[site] += nbytes
        found.update((key, site) for site, _ in sizes.most_common(1))
    return {"home": found} if found else {}


def _what_it_reads(node: GraphNode) -> set[Key]:
    """Return the keys of what a node reads, if it reads anything."""
    function = getattr(node, "func", None)
    return set(function.loads) if isinstance(function, RunOnLoaded) else {node.key}


def needs_of_runs(
    annotations: Mapping[str, Mapping[Key, Any]], sent: Mapping[Key, GraphNode]
) -> Mapping[str, Mapping[Key, Any]]:
    """Return annotations in which only what runs needs anything of its worker: a result is loaded anywhere."""
    if "needs" not in annotations:
        return annotations
    loads = {key for key, node in sent.items() if isinstance(node, Task) and isinstance(node.func, (Load, Hold))}
    return {**annotations, "needs": {key: asked for key, asked in annotations["needs"].items() if key not in loads}}


def _is_same(before: Taken | None, node: GraphNode, step_key: bytes | None) -> bool:
    """Tell whether the scheduler may take a node for what it holds under the same key."""
    if before is None:
        return False
    alike = before.step_key == step_key and is_held(before.node) == is_held(node)
    return alike and before.node.dependencies == node.dependencies


def _node(step: PlannedStep, node: GraphNode, plan: Plan, context: Context) -> GraphNode:
    """Return what is sent for one step."""
    if step.action is Action.LOAD:
        return Task(step.key, _load(step, context))
    if step.action is not Action.RUN or type(node) is not Task or runs_as_it_is(node.func):
        return node
    if not step.keep:
        return with_function(node, RunWithin(node.func, step.name, context))
    identity = plan.details[step.key]
    assert identity.code is not None
    return with_function(
        node,
        RunAndKeep(
            node.func,
            identity.key,
            identity.code.digest,
            step.name,
            context,
            identity.parts,
            identity.inputs,
            seek=identity.code.digest in plan.known_codes,
            dependencies=len(node.dependencies),
            overwrite=step.key in plan.lost,
        ),
    )


def _load(step: PlannedStep, context: Context, known_as: Key | None = None) -> Load:
    assert step.info is not None
    return Load(step.info.key, _slim(step.info, context.store), step.name, context, known_as)


def _slim(info: EntryInfo, store: Store) -> EntryInfo | None:
    """Return what a worker needs to load an entry; None if it had better look it up itself."""
    if info.payload is not None and len(info.payload) > MOST_SENT_PAYLOAD:
        return None
    slim = store.slim(info)
    site = {name: value for name, value in info.details.items() if name == "site"}
    return dataclasses.replace(slim, details={**slim.details, **site}) if site else slim


def _with_key(node: GraphNode, key: Key) -> GraphNode:
    """Return a node under another key; what is recorded of it stays under its own."""
    new = _known_as(node.key, node) if isinstance(node, Task) else node.copy()
    new.key = key
    return new


def _known_as(key: Key, node: Task) -> Task:
    """Return a task that records what it does under a key."""
    function: Any = node.func
    if isinstance(function, (Load, RunWithin, RunAndKeep)):
        function = dataclasses.replace(function, known_as=key)
    elif isinstance(function, RunOnLoaded):
        function = dataclasses.replace(function, task=_known_as(key, function.task))
    return with_function(node, function)
