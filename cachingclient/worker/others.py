"""Waiting for another client that runs the same step now."""

from __future__ import annotations

import time
from typing import Any, Protocol

from cachingclient.plan.lookup import surroundings
from cachingclient.plan.variants import trace_of
from cachingclient.storage import Lease, run_or_wait
from cachingclient.worker.attempt import Attempt
from cachingclient.worker.context import Context
from cachingclient.worker.process import process

EXPENSIVE_SECONDS = 0.5
"""A step that took fewer seconds than this before is run without asking whether another client runs it."""


class Waiting(Protocol):
    """The step that may wait."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def step_key(self) -> bytes | None:
        """Its step key."""

    @property
    def context(self) -> Context:
        """What it shares with the others of its graph."""

    def _seek(self, attempt: Attempt) -> None: ...

    def _record(self, action: str, seconds: float, nbytes: int, **more: Any) -> None: ...


def wait_for_others(step: Waiting, attempt: Attempt) -> None:
    """Wait for another client that runs this step now, unless the step is known to be cheap."""
    store, patience = step.context.here, step.context.patience
    if not patience or process().typical.get(step.name, EXPENSIVE_SECONDS) < EXPENSIVE_SECONDS:
        return
    assert step.step_key is not None
    start = time.perf_counter()
    try:
        found = run_or_wait(store, step.step_key.hex(), patience=patience, poll=0.2)
        if isinstance(found, Lease):
            attempt.lease = found
            if attempt.content is not None:
                step._seek(attempt)  # who ran it meanwhile has kept it; its client files the step key later
            if attempt.found:
                found.release()
            return
        trace = trace_of(found)
        if any(surroundings(store, attempt.classes.changed).differences([trace])) or attempt.cannot_load(found):
            return
        attempt.value = store.read(found, attempt.classes)
        attempt.found = True
    except Exception:
        return  # without leases a step is run twice, which costs time and nothing else
    seconds = time.perf_counter() - start
    step._record("loaded", seconds, found.nbytes, saved=found.seconds, sound=True, trace=trace)
