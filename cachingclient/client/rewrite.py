"""From a plan to the graph that is sent: a hit becomes a `Load`, a step to run is wrapped, the rest stays."""

from __future__ import annotations

import dataclasses
import uuid
from collections import Counter
from collections.abc import Container, Mapping, MutableMapping
from itertools import chain
from typing import Any

from dask.utils import key_split
from distributed import Future

from cachingclient.client.inline_loads import find_inline_loads, inline_unread_hits, with_inline_loads
from cachingclient.client.sent import Taken
from cachingclient.graph import (
    GraphNode,
    Key,
    Task,
    TaskGraph,
    TaskRef,
    annotated_as,
    is_held,
    runs_as_it_is,
    taking,
    under_key,
    with_function,
)
from cachingclient.hashing.inputs.fingerprint import Fingerprint
from cachingclient.hashing.keys import Step
from cachingclient.plan.nearness import chances
from cachingclient.plan.plan import Plan
from cachingclient.plan.steps import Action, PlannedStep
from cachingclient.plan.variants import left_to_check
from cachingclient.storage import EntryInfo, Store
from cachingclient.worker.allowance import ALWAYS
from cachingclient.worker.as_planned import stands_in_key
from cachingclient.worker.context import Context
from cachingclient.worker.held import READER, Hold, resolve
from cachingclient.worker.load import Load, RunOnLoaded
from cachingclient.worker.run_within import RunWithin
from cachingclient.worker.tasks import RunAndKeep

MOST_BEFORE = 64
"""How many inputs of the steps before it go with a step."""
MOST_SENT_PAYLOAD = 4096
"""Results up to this many bytes travel with the graph; larger ones are read by the worker."""


def rewrite(
    plan: Plan,
    lowered: TaskGraph,
    context: Context,
    taken: Mapping[Key, Taken],
    *,
    hold: bool = False,
    anew: bool = False,
) -> TaskGraph:
    """Return the graph to send.

    Parameters
    ----------
    plan
        The plan.
    lowered
        The graph that the plan was made for.
    context
        The context of the run.
    taken
        The nodes that were sent before and that the scheduler may still have. The scheduler refuses a known key with
        other dependencies, and would not run another step under it, so such a node is sent under a new key.
    hold
        Whether wanted keys that are hits are sent as unread hits.
    anew
        Whether each node that is neither wanted nor held gets a new key, so that it can't collide with one sent before.
    """
    sent: dict[Key, GraphNode] = {}
    names: dict[Key, Key] = {}
    inside = find_inline_loads(plan, lowered, context.store)
    named_before = _inputs_before(plan, lowered)
    read_there = {key for keys in inside.values() for key in keys}
    takers = Counter(chain.from_iterable(node.dependencies for node in lowered.nodes.values()))
    others = {key for key, count in takers.items() if count > 1 or key not in lowered.nodes} | plan.wanted
    asked = chances(plan.steps, plan.wanted) if context.policy.budget is not None else {}
    for key, step in plan.steps.items():
        if key not in plan.needed or key in read_there or step.action is Action.HELD:
            continue
        node = _node(step, lowered.nodes[key], plan, context, named_before.get(key, ()), asked.get(key, ALWAYS))
        if isinstance(node, Task) and isinstance(node.func, RunAndKeep) and not _is_users(plan.details[key]):
            node.func.only_taker_of = tuple(node.dependencies - others)
        if key in inside:
            node = with_inline_loads(node, {each: _load(plan.steps[each], context, each) for each in inside[key]})
        may_hold = hold and key in plan.wanted
        if may_hold and isinstance(node, Task) and isinstance(node.func, Load) and not node.func.trace:
            # The client reads it itself; what only a worker can compare is read by a worker.
            node = with_function(node, Hold(dataclasses.replace(node.func, known_as=key)))
            step.unread = True
        if names:
            node = taking(node, names)
        before = taken.get(key)
        free = before is None and not anew
        if not free and key not in plan.wanted and not _is_same(before, node, plan.details[key].key):
            names[key] = name = f"{step.name}-{uuid.uuid4().hex}"
            node = _with_key(node, name)
        sent[node.key] = node
    return TaskGraph(sent, annotated_as(lowered.annotations, names) if names else lowered.annotations)


def read_what_is_held(
    sent: Mapping[Key, GraphNode],
    taken: Mapping[Key, Taken],
    known: Container[Key],
    readers: MutableMapping[Key, Key],
    again: Mapping[Key, Future[Any]],
) -> tuple[Mapping[Key, GraphNode], dict[Key, Key]]:
    """Return nodes that read the unread hits among their inputs, inline or by tasks between, and the keys of these.

    Parameters
    ----------
    sent
        The nodes.
    taken
        The nodes that were sent before.
    known
        The keys of which this client has futures. Other keys are another client's, and may be unread hits too.
    readers
        For each unread hit the key of the task that reads it; new tasks are added.
    again
        For each unread hit whose entry was lost the future that computes the result again.
    """
    outside = {key for node in sent.values() for key in node.dependencies}
    if not outside:
        return sent, {}
    unread = [key for key in outside if key not in readers]  # the difference of views would go through all readers
    behind = {key: sent.get(key) or (taken[key].node if key in taken else None) for key in unread}
    to_read = {key for key, node in behind.items() if is_held(node) or (node is None and key not in known)}
    if not to_read and len(unread) == len(outside) and outside.isdisjoint(again):
        return sent, {}  # as nearly always; what follows would go through all nodes twice more
    inside = inline_unread_hits(sent, {key: node for key, node in behind.items() if key not in again})
    sent = {key: with_inline_loads(node, inside[key]) if key in inside else node for key, node in sent.items()}
    outside = {key for node in sent.values() for key in node.dependencies}
    for key in (outside & to_read) - again.keys():
        readers[key] = f"{READER}{key_split(key)}-{uuid.uuid4().hex}"
    reading = [key for key in outside if key in readers and key not in again]
    used = {key: again[key].key for key in outside & again.keys()}
    used |= {key: readers[key] for key in reading}
    if not used:
        return sent, {}
    new: dict[Key, GraphNode] = {readers[key]: Task(readers[key], resolve, TaskRef(key)) for key in reading}
    new |= {key: taking(node, used) for key, node in sent.items()}
    return new, {key: readers[key] for key in reading}


def sites_of_loads(plan: Plan, sent: Mapping[Key, GraphNode]) -> dict[str, dict[Key, str]]:
    """Return the annotation that sends each load to the site where its entry was made, and is near."""
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
    """Return the keys whose entries a node reads, if it reads any."""
    function = getattr(node, "func", None)
    return set(function.loads) if isinstance(function, RunOnLoaded) else {node.key}


def needs_of_runs(
    annotations: Mapping[str, Mapping[Key, Any]], sent: Mapping[Key, GraphNode]
) -> Mapping[str, Mapping[Key, Any]]:
    """Return the annotations without the needs of loads: any worker can load a result."""
    if "needs" not in annotations:
        return annotations
    loads = {key for key, node in sent.items() if isinstance(node, Task) and isinstance(node.func, (Load, Hold))}
    return {**annotations, "needs": {key: asked for key, asked in annotations["needs"].items() if key not in loads}}


def _is_same(before: Taken | None, node: GraphNode, step_key: bytes | None) -> bool:
    """Tell whether a node is the same, for the scheduler, as the node that was sent before under its key."""
    if before is None:
        return False
    alike = before.step_key == step_key and is_held(before.node) == is_held(node)
    if _loads(before.node) and not _loads(node):
        return False  # the entry is lost: the scheduler's task of that key can only fail again
    return alike and before.node.dependencies == node.dependencies


def _loads(node: GraphNode) -> bool:
    return isinstance(node, Task) and isinstance(node.func, Load)


def _inputs_before(plan: Plan, lowered: TaskGraph) -> dict[Key, tuple[Fingerprint, ...]]:
    """Return for each step the files and URLs that stand in the keys of the steps before it; nothing for too many."""
    own = {key: tuple(filter(stands_in_key, identity.inputs)) for key, identity in plan.details.items()}
    before: dict[Key, tuple[Fingerprint, ...]] = {}
    for key in plan.details if any(own.values()) else ():  # what a step needs comes before it
        node = lowered.nodes.get(key)
        found = {
            each: None
            for needed in (node.dependencies if node is not None else ())
            for each in (*before.get(needed, ()), *own.get(needed, ()))
        }
        if 0 < len(found) <= MOST_BEFORE:
            before[key] = tuple(found)
    return before


def _node(
    step: PlannedStep, node: GraphNode, plan: Plan, context: Context, before: tuple[Fingerprint, ...], asked: float
) -> GraphNode:
    """Return the node that is sent for one step."""
    if step.action is Action.LOAD:
        return Task(step.key, _load(step, context))
    if step.action is not Action.RUN or type(node) is not Task or runs_as_it_is(node.func):
        return node
    identity = plan.details[step.key]
    if identity.code is None or not (step.keep or identity.key):
        return with_function(node, RunWithin(node.func, step.name, context))
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
            keep=step.keep,
            before=before,
            asked=asked,
            codes=identity.codes,
            remade=identity.remade,
        ),
    )


def _is_users(identity: Step) -> bool:
    return identity.code is None or identity.code.is_users


def _load(step: PlannedStep, context: Context, known_as: Key | None = None) -> Load:
    assert step.info is not None
    assert step.step_key is not None
    filed_as = "" if step.info.key == step.step_key else step.info.key
    info, left = _slim(step.info, context.store), left_to_check(step.info)
    return Load(step.step_key, info, step.name, context, known_as, step.classes, filed_as, left)


def _slim(info: EntryInfo, store: Store) -> EntryInfo | None:
    """Return the part of an entry's description that a load needs; None if the worker should look it up itself."""
    if info.payload is not None and len(info.payload) > MOST_SENT_PAYLOAD:
        return None
    slim = store.slim(info)
    site = {name: value for name, value in info.details.items() if name == "site"}
    return dataclasses.replace(slim, details={**slim.details, **site}) if site else slim


def _with_key(node: GraphNode, key: Key) -> GraphNode:
    """Return a node under another key; its records keep the key of the user's graph."""
    return under_key(_known_as(node.key, node) if isinstance(node, Task) else node, key)


def _known_as(key: Key, node: Task) -> Task:
    """Return a task whose records have a given key."""
    function: Any = node.func
    if isinstance(function, (Load, RunWithin, RunAndKeep)):
        function = dataclasses.replace(function, known_as=key)
    elif isinstance(function, RunOnLoaded):
        function = dataclasses.replace(function, task=_known_as(key, function.task))
    else:
        return node
    return with_function(node, function)
