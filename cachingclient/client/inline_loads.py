"""Inline loads: a step to run reads the kept results that it needs itself, instead of a load task for each.

A task of its own costs dask one or two milliseconds, and its result travels to the worker of the next step. Reading
most results takes less. So a result that a single step needs is read by this step, before its function starts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from cachingclient.graph import GraphNode, Key, Task, TaskGraph, TaskRef, runs_as_it_is
from cachingclient.plan.plan import Plan
from cachingclient.plan.steps import Action, PlannedStep
from cachingclient.storage import Store
from cachingclient.storage.entry import INLINE
from cachingclient.worker.held import Hold
from cachingclient.worker.load import Load, RunOnLoaded
from cachingclient.worker.run_within import RunWithin
from cachingclient.worker.tasks import RunAndKeep

TASK_SECONDS = 0.002
"""The cost of a load task, in seconds: a result is read inline while reading it again for each step takes less."""
PLACES = ("workers", "allow_other_workers", "resources", "site")
"""The annotations that restrict where a task may run."""


def find_inline_loads(plan: Plan, lowered: TaskGraph, store: Store) -> dict[Key, list[Key]]:
    """Return for each step to run the keys of the inputs that it reads itself.

    A wanted key stays a task, and so does a key that the user's annotations restrict to some workers.
    """
    takers: dict[Key, list[Key]] = defaultdict(list)
    loads = {key for key in plan.needed if plan.steps[key].action is Action.LOAD}
    if not loads:
        return {}
    able = set()
    for key in plan.needed - loads:
        if plan.steps[key].action is not Action.HELD and not loads.isdisjoint(lowered.nodes[key].dependencies):
            for dependency in loads & lowered.nodes[key].dependencies:
                takers[dependency].append(key)
            if _can_read(plan.steps[key], lowered.nodes[key]):
                able.add(key)
    inside: dict[Key, list[Key]] = defaultdict(list)
    for key, taking in takers.items():
        info = plan.steps[key].info
        assert info is not None
        if (
            key not in plan.wanted
            and (len(taking) - 1) * store.load_cost(info.nbytes) < TASK_SECONDS
            and able.issuperset(taking)
            and all(_may_run_where(taker, key, lowered.annotations) for taker in taking)
        ):
            for taker in taking:
                inside[taker].append(key)
    return inside


def inline_unread_hits(
    sent: Mapping[Key, GraphNode], inputs: Mapping[Key, GraphNode | None]
) -> dict[Key, dict[Key, Load]]:
    """Return for each node that is sent the loads of those of its inputs that are unread hits.

    An entry that is near one site is left out: a task at this site reads it.
    """
    takers: dict[Key, list[Key]] = defaultdict(list)
    functions = {key: node.func for key, node in inputs.items() if isinstance(node, Task)}
    held = {key: function.load for key, function in functions.items() if isinstance(function, Hold)}
    for taker, node in sent.items() if held else ():
        for key in held.keys() & node.dependencies:
            takers[key].append(taker)
    inside: dict[Key, dict[Key, Load]] = defaultdict(dict)
    for key, taking in takers.items():
        load = held[key]
        nbytes = load.info.nbytes if load.info is not None else INLINE
        cheap = len(taking) * load.context.store.load_cost(nbytes) < TASK_SECONDS
        sited = load.info is not None and "site" in load.info.details
        if cheap and not sited and all(_is_ours(sent[taker]) for taker in taking):
            for taker in taking:
                inside[taker][key] = load
    return inside


def with_inline_loads(node: GraphNode, loads: dict[Key, Load]) -> Task:
    """Return the task of a node with some of its inputs read inline."""
    assert isinstance(node, Task)
    if isinstance(node.func, RunOnLoaded):
        # The keys of its inputs may have been replaced since: the step inside knows them by the first names.
        known = zip(node.func.given, node.args, strict=True)
        given = {name: ref for name, ref in known if name not in loads}
        task, loads = node.func.task, {**node.func.loads, **loads}
    else:
        given = {name: TaskRef(name) for name in node.dependencies - loads.keys()}
        task = node
    step = RunOnLoaded(task, tuple(given), loads)
    return Task(node.key, step, *given.values(), _data_producer=node.data_producer)


def _is_ours(node: GraphNode) -> bool:
    """Tell whether a node runs a step by one of our own functions."""
    return isinstance(node, Task) and isinstance(node.func, (RunAndKeep, RunWithin, RunOnLoaded))


def _can_read(step: PlannedStep, node: GraphNode) -> bool:
    """Tell whether a step is sent as one of our own functions, which can read its inputs."""
    return step.action is Action.RUN and type(node) is Task and not runs_as_it_is(node.func)


def _may_run_where(taker: Key, key: Key, annotations: Mapping[str, Mapping[Key, object]]) -> bool:
    """Tell whether a step is restricted to the same workers as one of its inputs, or the input is not restricted."""
    kinds = [annotations[kind] for kind in PLACES if kind in annotations]
    return all(key not in asked or asked.get(taker) == asked[key] for asked in kinds)
