"""Which kept results are read by the very step that takes them, instead of by tasks of their own.

A task costs one or two thousandths of a second, and its result travels to the worker that needs it: more than reading
most results takes. So a result that one step takes is read there, when the step begins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from cachingclient.graph import GraphNode, Key, Lowered, Task, TaskRef, runs_as_it_is
from cachingclient.lazy import Hold
from cachingclient.loading import Load, RunOnLoaded
from cachingclient.plan import Action, Plan, PlannedStep
from cachingclient.steps import RunAndKeep, RunWithin
from cachingclient.storage import Store
from cachingclient.storage.entry import INLINE

TASK_SECONDS = 0.002
"""What a task costs more than reading its result; as long as reading it again takes less, every taker does."""
PLACES = ("workers", "allow_other_workers", "resources", "site")
"""The annotations that say where a task may run."""


def loads_inside(plan: Plan, lowered: Lowered, store: Store) -> dict[Key, list[Key]]:
    """Return for each step to run which of its inputs it reads itself.

    What the user asked for stays a task, and so does what only some workers may read.
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


def held_inside(sent: Mapping[Key, GraphNode], inputs: Mapping[Key, GraphNode | None]) -> dict[Key, dict[Key, Load]]:
    """Return for each node that is sent how it reads those of its inputs itself that the scheduler holds unread.

    What is near one site only is read by a task, which runs there.
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


def reading_itself(node: GraphNode, loads: dict[Key, Load]) -> Task:
    """Return a task that reads some of the inputs of a node itself."""
    assert isinstance(node, Task)
    if isinstance(node.func, RunOnLoaded):
        # What it takes may go by another name by now: the step inside knows it by the first.
        known = zip(node.func.given, node.args, strict=True)
        given = {name: ref for name, ref in known if name not in loads}
        task, loads = node.func.task, {**node.func.loads, **loads}
    else:
        given = {name: TaskRef(name) for name in node.dependencies - loads.keys()}
        task = node
    step = RunOnLoaded(task, tuple(given), loads)
    return Task(node.key, step, *given.values(), _data_producer=node.data_producer)


def _is_ours(node: GraphNode) -> bool:
    """Tell whether a node runs a step in the way that is ours to shape."""
    return isinstance(node, Task) and isinstance(node.func, (RunAndKeep, RunWithin, RunOnLoaded))


def _can_read(step: PlannedStep, node: GraphNode) -> bool:
    """Tell whether what is sent for a step is ours to shape."""
    return step.action is Action.RUN and type(node) is Task and not runs_as_it_is(node.func)


def _may_run_where(taker: Key, key: Key, annotations: Mapping[str, Mapping[Key, object]]) -> bool:
    """Tell whether a step may run on no other workers than one that it takes a result from."""
    kinds = [annotations[kind] for kind in PLACES if kind in annotations]
    return all(key not in asked or asked.get(taker) == asked[key] for asked in kinds)
