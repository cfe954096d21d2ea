"""What a worker did for one step, as it tells the client."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from cachingclient.hashing.inputs.trace import Trace

NOTHING = Trace()
RecordAction = Literal["loaded", "ran", "cut off"]
QUICK = "not kept: too quick to be worth it"
"""The note of a result that the policy does not keep: no fault, so nobody is warned and no report lists it."""
BEYOND_BUDGET = "not kept: beyond the budget for keeping"
"""The note of a result that is worth keeping, but less than those that the budget was spent on: no fault either."""


@dataclass(slots=True)
class StepRecord:
    """What a worker did for one step.

    Parameters
    ----------
    key, name
        The step's key in the graph, and its name.
    action
        ``"loaded"``; ``"ran"``; or ``"cut off"``: loaded after all, since a result of the same code on inputs
        with the same contents was kept.
    seconds
        How long running or loading took.
    nbytes
        The size of the stored result in bytes; 0 if it was not stored.
    kept
        Whether the result is now in the store because of this step.
    note
        Why the result was not kept, or another remark for the reader of a report.
    saved
        How long running would have taken, in seconds, if the result was loaded or cut off and the worker knows it.
    fact
        The key under which the result was filed or found by its content; empty if it is not kept.
    sound
        Whether the step ran as it was planned: the client's code, files that nobody changed meanwhile. None if nobody
        planned it.
    trace
        What the step was seen to depend on beside its code and arguments.
    loading
        How long loading the result would take, in seconds, by estimate, if the policy did not keep it.
    least
        From how many seconds of running on the policy would have kept it; 0 if it does not say.
    spoiled
        Whether it changed in place what it was given: the results of the steps before it are others now.
    keeping
        The seconds of processor time that keeping the result took; of one that is beyond the budget, would take.
    peak
        The bytes that its process had more while it ran; None if that was not measured.

    Examples
    --------
    >>> StepRecord("select-1", "select", "ran", 1.5, 4096, True).action
    'ran'
    """

    key: Any
    name: str
    action: RecordAction
    seconds: float = 0.0
    nbytes: int = 0
    kept: bool = False
    note: str = ""
    saved: float = 0.0
    fact: str = ""
    sound: bool | None = None
    trace: Trace = NOTHING
    spoiled: bool = False
    loading: float = 0.0
    least: float = 0.0
    keeping: float = 0.0
    peak: int | None = None


def last_of_each(records: Iterable[StepRecord]) -> dict[tuple[Any, str], StepRecord]:
    """Return the one record that tells what became of each step, by its key and name: the last.

    A step that ran has run, though: if its result was needed once more in the same run, as after a lost entry or a
    worker that ended, and was loaded then, that is neither a hit nor time that was saved.

    Examples
    --------
    >>> twice = [StepRecord("a", "fill", "ran", 2.0, kept=True), StepRecord("a", "fill", "loaded", 0.1, saved=2.0)]
    >>> last_of_each(twice)["a", "fill"].action
    'ran'
    """
    last: dict[tuple[Any, str], StepRecord] = {}
    for record in records:
        before = last.get((record.key, record.name))
        if before is None or before.action != "ran" or record.action == "ran":
            last[record.key, record.name] = record
    return last
