"""Which kept results are read by the very step that takes them, instead of by tasks of their own.

A task costs one or two thousandths of a second, and its result travels to the worker that needs it: more than reading
most results takes. So a result that one step takes is read there, when the step begins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from cachingclient.graph import GraphNode, Key, Lowered, Task, TaskRef, runs_as_it_is
from cachingclient.loading import Load, RunOnLoaded
from cachingclient.planner import Action, Plan, PlannedStep
from cachingclient.storage import Store

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


def reading_itself(node: GraphNode, loads: dict[Key, Load]) -> Task:
    """Return a task that reads some of the inputs of a node itself."""
    assert isinstance(node, Task)
    given = tuple(node.dependencies - loads.keys())
    return Task(node.key, RunOnLoaded(node, given, loads), *map(TaskRef, given), _data_producer=node.data_producer)


def _can_read(step: PlannedStep, node: GraphNode) -> bool:
    """Tell whether what is sent for a step is ours to shape."""
    return step.action is Action.RUN and type(node) is Task and not runs_as_it_is(node.func)


def _may_run_where(taker: Key, key: Key, annotations: Mapping[str, Mapping[Key, object]]) -> bool:
    """Tell whether a step may run on no other workers than one that it takes a result from."""
    kinds = [annotations[kind] for kind in PLACES if kind in annotations]
    return all(key not in asked or asked.get(taker) == asked[key] for asked in kinds)
