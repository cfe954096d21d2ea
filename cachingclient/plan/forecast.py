"""A warning before a run that will miss much more than the last one of the same steps did."""

from __future__ import annotations

import time

from cachingclient import units
from cachingclient.plan.history import history_of
from cachingclient.plan.plan import Plan
from cachingclient.plan.reasons import Reasons
from cachingclient.plan.steps import Action
from cachingclient.storage import Store

FEWEST_TO_WARN, MUCH, LITTLE, SECONDS_TO_WARN = 10, 0.5, 0.2, 60.0
"""Warned is of so many steps, if more than that part of a graph runs, less did, and running them takes so long."""


class Forecast:
    """Says before a run that it will miss much more than the last one of the same steps did.

    Parameters
    ----------
    store
        The store that the steps are kept in.

    Examples
    --------
    >>> from cachingclient.storage import open_store
    >>> Forecast(open_store("memory://forecast"))(Plan({}, frozenset()))
    ''
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(self, plan: Plan) -> str:
        """Return the warning; empty if there is nothing to warn of."""
        if len(plan.steps) < FEWEST_TO_WARN:
            return ""
        counts: dict[str, list[int]] = {}
        for step in plan.steps.values():
            if step.action not in (Action.DATA, Action.ALIAS):
                of_name = counts.setdefault(step.name, [0, 0])
                of_name[0] += 1
                of_name[1] += step.action is Action.RUN
        steps, runs = (sum(of_name[number] for of_name in counts.values()) for number in (0, 1))
        if runs < FEWEST_TO_WARN or runs < steps * MUCH:
            return ""
        last = next((run for run in reversed(list(history_of(self._store))) if counts.keys() <= run.names.keys()), None)
        if last is None or last.ran > last.steps * LITTLE:
            return ""
        costs = {name: (each.spent + each.saved) / max(1, each.steps) for name, each in last.names.items()}
        seconds = sum(costs[name] * of_name[1] for name, of_name in counts.items())
        if seconds < SECONDS_TO_WARN:
            return ""
        ago = units.age(time.time() - last.when)
        reasons = Reasons(plan, self._store).by_key.values()
        why = next((each.text for each in reasons if each.text), "")
        return (
            f"{runs:,} of {steps:,} steps will run, about {units.duration(seconds)} of work; {ago} ago "
            f"{last.ran:,} of {last.steps:,} did{f': {why}' if why else ''}"
        )
