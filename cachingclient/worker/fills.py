"""What fills memories beside runs that are kept: runs that fail or are not kept, and code outside of steps.

A module may call its own loader behind `functools.cache` while it is imported, and a step that fails leaves filled what
it filled. Later steps take it from there, so what was read for it counts for them.
"""

from __future__ import annotations

import copy
import functools
import gc
from typing import Protocol

from cachingclient.hashing.inputs.fingerprint import Fingerprint
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.inputs.trace import Trace
from cachingclient.warn_once import logger
from cachingclient.worker import memories
from cachingclient.worker.context import Context
from cachingclient.worker.observe import Observed, current, install, unobserved
from cachingclient.worker.process import process
from cachingclient.worker.seen import NotKept, trace_of_run

_MEMORY = type(functools.cache(len))


class Run(memories.Run, Protocol):
    """One run of a step that ended."""

    @property
    def inherited(self) -> list[Trace]:
        """What kept results depend on that steps called inside took."""

    def named_and_read(self, seen: Observed) -> list[Fingerprint]:
        """Return the inputs that its arguments or its code name, and that count."""


def note_fills(run: Run, context: Context) -> None:
    """Note what was observed of a run that is not kept, for the memories that it may have filled.

    Parameters
    ----------
    run
        The run.
    context
        What its step shares with the others of its graph.
    """
    if run.seen is None or not run.memories:
        return
    trace = None
    try:
        with unobserved():
            trace = trace_of_run(run.seen, run.named_and_read(run.seen), Inputs(context.inputs), run.inherited)
    except NotKept:
        pass  # as of random numbers, which a memory may hold now
    except Exception as error:  # of the cache: the step's own error is what the user hears of
        logger.warning("what a step remembers can't be told: %s: %s", type(error).__name__, error)
    process().memories.filled(run.memories, trace)


def account_for(run: Run, context: Context) -> None:
    """Have what was read outside of steps, or by steps that still run, count for a run that takes it from memory.

    Parameters
    ----------
    run
        The run.
    context
        What its step shares with the others of its graph.

    Raises
    ------
    NotKept
        Nobody knows what one of the memories that it reaches was made from.
    """
    known = process().memories
    for memory, others in known.filled_by_others(run).items():
        for seen in [each.seen for each in others] or [current.outside]:
            known.add(memory, _so_far(seen, context), 0 if others else run.memories[memory])
    if name := known.unknown(run.memories):
        raise NotKept(
            f"it calls {name}, whose functools.cache was filled where nobody saw what that reads, or by a step that is "
            "not kept; restart the workers, or the program where steps run in it"
        )


def _so_far(seen: Observed | None, context: Context) -> Trace | None:
    """Return what was read until now by what is still observed; None if nobody can tell."""
    if seen is None:
        return None
    seen = copy.deepcopy(seen)
    seen.close()
    try:
        return trace_of_run(seen, (), Inputs(context.inputs), ())
    except NotKept:
        return None


def follow_fills() -> None:
    """Observe what code of the user's does in this process outside of steps; what it did before, nobody knows."""
    if current.outside is None:
        install()
        current.observe_outside()
        found = (each for each in gc.get_objects() if type(each) is _MEMORY)
        process().memories.filled({each: -1 for each in found if each.cache_info().misses}, None)
