"""Outdated results: the scheduler holds them, and a file that their steps read was edited since.

A future keeps its result, whatever becomes of the files behind it. The step key of a step that takes it says nothing of
these files: entries of one step key are told apart by the files as they are now. So a step that takes an outdated
result has no step key, and is found by its content key. Until a worker has told what a result depends on, no entry is
looked up for the steps that take it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cachingclient.client.links import Links
from cachingclient.client.sent import Registry
from cachingclient.graph import Key
from cachingclient.hashing.inputs.trace import Surroundings, Trace
from cachingclient.plan.steps import Constraints
from cachingclient.plan.variants import trace_of


def with_held(
    constraints: Constraints, states: Mapping[Key, Any], registry: Registry, links: Links | None, here: Surroundings
) -> Constraints:
    """Return constraints that name the held results that are outdated, and those of which no worker has told yet.

    Parameters
    ----------
    constraints
        What is known of single steps.
    states
        The states of the client's futures: what has not finished may read its files yet.
    registry
        What was sent, with the entries of those that are hits.
    links
        Knows what workers told of those that ran; None where nothing is kept.
    here
        How things are now.
    """
    if not constraints.held:
        return constraints
    found = {key: _trace(key, registry, links) for key in constraints.held}
    traces = {key: trace for key, trace in found.items() if trace}
    reasons = here.differences(traces.values(), [set() for _ in traces]) if traces else []
    outdated = {key: f"it was made before this: {why}" for key, why in zip(traces, reasons, strict=True) if why}
    finished = {key for key in found if key in states and states[key].status == "finished"}
    untold = frozenset(key for key in finished if found[key] is None)
    known = constraints.elsewhere
    return replace(constraints, untold=untold, elsewhere=lambda *of: {**known(*of), **outdated})


def _trace(key: Key, registry: Registry, links: Links | None) -> Trace | None:
    """Return what a held result depends on beside its key; None while that is not known."""
    taken = registry.taken.get(key)
    run = registry.runs.get(key)
    step = run.plan.steps.get(key) if run is not None else None
    if step is not None and step.info is not None:
        return trace_of(step.info)
    if taken is None:
        return Trace()  # scattered: its contents are its key
    outcome = links.outcome(taken.run, key) if links is not None else None
    return None if outcome is None or outcome.state == "waiting" else outcome.trace
