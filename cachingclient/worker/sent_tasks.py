"""Tasks that a step sends to the cluster itself: what they read and draw is not seen where the step runs.

Each of them tells the scheduler what was observed while it ran, before the scheduler hears that it is done. So a step
whose tasks only computed may be kept, and one whose tasks read a file, or were not done before the step, is not.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dask.utils import funcname
from distributed import get_client, get_worker
from distributed.worker import thread_state

from cachingclient.graph import GraphNode, Key, NestedContainer, Task, lower, runs_as_it_is, to_dask, with_function
from cachingclient.worker.computation_code import without_own_modules
from cachingclient.worker.observe import Observed, describe, observing, unobserved
from cachingclient.worker.observe.current import mine
from cachingclient.worker.observe.imports import when_imported
from cachingclient.worker.observe.wrap import replace

_TOPIC = "cachingclient-sent-tasks"


@dataclass(slots=True)
class Telling:
    """What such a task calls in place of its function: it tells what was observed of it."""

    function: Callable[..., Any]
    topic: str

    @property
    def __name__(self) -> str:
        return funcname(self.function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function, and tell."""
        with observing() as seen:
            result = self.function(*args, **kwargs)
        with unobserved():
            get_worker().log_event(self.topic, (thread_state.key, next(iter(describe(seen)), "")))
        return result


@functools.cache
def install() -> None:
    """See what steps send from now on."""
    when_imported("distributed.client", _watch)


def _watch(module: Any) -> None:
    replace(module, "Client._graph_to_futures", _wrap)
    replace(module, "Client._get_computation_code", without_own_modules)


def _wrap(original: Any) -> Any:
    def graph_to_futures(self: Any, expr: Any, *args: Any, **kwargs: Any) -> Any:
        found = [seen for seen in mine.get() or () if seen.is_open]
        if found:
            with unobserved():
                expr = _followed(found, self, expr)
                for seen in found if kwargs.get("actors") else ():
                    seen.state.add("an actor")
        return original(self, expr, *args, **kwargs)

    return graph_to_futures


def _followed(found: list[Observed], client: Any, graph: Any) -> Any:
    """Return a graph whose tasks tell what they do; the graph itself if that can't be had."""
    try:
        lowered = lower(graph)
        nodes = {key: _telling(node, f"{_TOPIC}-{client.id}") for key, node in lowered.nodes.items()}
        sent = to_dask(nodes, lowered.annotations)
    except Exception as error:
        nodes, sent = {}, graph
        for seen in found:
            seen.give_reason(f"it sends tasks to the cluster that can't be followed: {type(error).__name__}: {error}")
    for seen in found:
        seen.sent.update((key, _untold(node)) for key, node in nodes.items() if _runs(node))
    return sent


def _telling(node: GraphNode, topic: str) -> GraphNode:
    if type(node) is not Task or runs_as_it_is(node.func) or type(node.func) is Telling or _untold(node):
        return node
    return with_function(node, Telling(node.func, topic))


def _untold(node: GraphNode) -> str:
    """Return why a task does not tell what it does; empty if it does."""
    function = node.func if type(node) is Task else None
    if type(function) is not Telling and type(function).__module__.startswith("cachingclient."):
        return "it sends tasks by a caching client, and what a result depends on that this one loads is not told"
    return ""


def _runs(node: GraphNode) -> bool:
    return isinstance(node, Task) and not isinstance(node, NestedContainer)


def objection(seen: Observed) -> str:
    """Return why a step that sent tasks can't be kept; empty if all of them are done and only computed."""
    if not seen.sent:
        return ""
    client: Any = get_client()
    told: dict[Key, str] = {}
    for _, (key, what) in client.get_events(f"{_TOPIC}-{client.id}"):
        told[key] = told.get(key) or what
    for key, why in seen.sent.items():
        if why:
            return why
        if key not in told:
            return "it sends tasks to the cluster, and was done before they were, or they were there before"
        if told[key]:
            return f"it sends tasks to the cluster, one of which {told[key]}"
    return ""
