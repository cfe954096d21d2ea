"""The scheduler's part of recovery: erred tasks, and unread hits of lost entries, are replaced.

Other clients may want a task that erred, the tasks that depend on it erred with it, and graphs that depend on it may
be on their way. So a task is never forgotten and sent again, since in between all of these would find the key gone:
within one message the task gets another `run_spec`, and the tasks that erred with it wait for it again.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from distributed import Scheduler
from distributed.protocol.pickle import dumps, loads
from distributed.scheduler import TaskState

from cachingclient.graph import GraphNode, Key, is_held
from cachingclient.scheduler.new_workers import fit

REVIVE = "cachingclient-revive"
REVIVED = "cachingclient-revived"
"""The scheduler's answer to the client, sent before any news of the replaced tasks."""
STIMULUS = "cachingclient-recovery"


def install(dask_scheduler: Any = None) -> None:
    """Register the handler of the message; run on the scheduler."""
    dask_scheduler.stream_handlers[REVIVE] = functools.partial(revive, dask_scheduler)


def message(nodes: Mapping[Key, GraphNode]) -> dict[str, Any]:
    """Return the message that has tasks replaced; the scheduler must know all keys that the nodes depend on."""
    return {"op": REVIVE, "nodes": dumps(dict(nodes))}


def revive(scheduler: Scheduler, nodes: bytes, client: str) -> None:
    """Replace tasks, and have the tasks that erred with them wait for them again."""
    given: dict[Key, GraphNode] = loads(nodes)
    tasks = {key: scheduler.tasks[key] for key in given if key in scheduler.tasks}
    replaced = [
        task for key, task in tasks.items()
        if _may_change(task) and scheduler.tasks.keys() >= given[key].dependencies
    ]  # fmt: skip
    before = {old for task in replaced for old in _replace(task, given[task.key], scheduler)}
    fit(scheduler, replaced)
    unneeded = [old.key for old in before if not old.dependents and not old.who_wants]
    scheduler.transitions(dict.fromkeys(unneeded, "forgotten"), STIMULUS)
    family = _with_erred_dependents(task for task in replaced if task.state == "erred")
    able = _able(family)
    unable = family - able
    # dask would have these wait for the erred tasks, and would run the erred tasks when these err again.
    apart = [(task, each) for task in unable for each in task.dependencies if each.state == "erred"]
    for task, each in apart:
        each.dependents.discard(task)
    ready = [task.key for task in able if all(each.state != "erred" for each in task.dependencies)]
    recommendations: dict[Key, Any] = dict.fromkeys(ready, "waiting")
    recommendations |= {task.key: "released" for task in replaced if task.state == "memory"}  # and so wanted again
    scheduler.transitions(recommendations, STIMULUS)
    for task, each in apart:
        each.dependents.add(task)
    for task in unable:
        task.exception_blame = _to_blame(task).exception_blame
    scheduler.stimulus_queue_slots_maybe_opened(stimulus_id=STIMULUS)
    # The client hears again of tasks that could not be replaced, and of tasks that another client replaced before.
    scheduler.client_comms[client].send({"op": REVIVED, "keys": list(given)})
    for task in {*tasks.values(), *unable}:
        if task.state in ("memory", "erred"):
            scheduler.report_on_key(ts=task, client=client if task.key in tasks else None)


def _may_change(task: TaskState) -> bool:
    """Tell whether a task erred, or is an unread hit."""
    return task.state == "erred" or (task.state == "memory" and is_held(task.run_spec))


def _replace(task: TaskState, node: GraphNode, scheduler: Scheduler) -> set[TaskState]:
    """Give a task another node; return its dependencies before."""
    before = set(task.dependencies)
    task.dependencies.clear()
    for each in before:
        each.dependents.discard(task)
    for key in node.dependencies:
        task.add_dependency(scheduler.tasks[key])
    task.run_spec = node
    task.has_lost_dependencies = False
    task.retries = (task.annotations or {}).get("retries", 0)
    return before


def _with_erred_dependents(tasks: Iterable[TaskState]) -> set[TaskState]:
    """Return tasks, and those of their dependents that erred, and so on downwards."""
    found = set(tasks)
    waiting = list(found)
    while waiting:
        erred = {each for each in waiting.pop().dependents if each.state == "erred"} - found
        found |= erred
        waiting.extend(erred)
    return found


def _able(family: Collection[TaskState]) -> set[TaskState]:
    """Return those tasks that depend on no erred task but each other."""
    able = set(family)
    waiting = list(able)
    while waiting:
        task = waiting.pop()
        if task in able and any(each.state == "erred" and each not in able for each in task.dependencies):
            able.discard(task)
            waiting.extend(able & task.dependents)
    return able


def _to_blame(task: TaskState) -> TaskState:
    """Return the first erred task among the dependencies of one, and of these, and so on upwards."""
    while erred := next((each for each in task.dependencies if each.state == "erred"), None):
        task = erred
    return task
