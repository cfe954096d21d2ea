"""Why results are not kept, by step name, and what would have to be done to have them kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cachingclient import units
from cachingclient.plan.record import QUICK, StepRecord
from cachingclient.plan.steps import PlannedStep

NOT_KEPT = "not kept: "
"""How the note of a record begins that says why a result was not kept."""

ONLY_READS = "this client only reads"
"""Why nothing is kept with ``mode="read"``, or in a store that can't be written to."""
BY_POLICY = "the policy does not keep it"
Times = tuple[float, float, float]
"""How long a step ran, how long its result takes to load, and from when on it is kept, in seconds."""
ADVICE = (
    (BY_POLICY, "keep it with policy='all', or another policy"),
    ("too quick", "what is quick to run is kept with policy='all', or as a part of a longer step"),
    ("beyond the budget", "a larger keep-budget keeps more, and policy='all' everything"),
    ("called more than once alike", "give each call a seed of its own, as an argument"),
    ("the user called it not pure", "leave pure=False out where equal calls give equal results"),
    ("cache=False", "leave cache=False out"),
    (ONLY_READS, "use mode='readwrite' and a store that can be written to"),
    ("it needs ", "see the step that it needs"),
    ("it took the result of ", "see the step whose result it took"),
)
"""What helps against a reason, by how the reason begins."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some results of one step name are not kept.

    Attributes
    ----------
    text
        The reason.
    count
        How many steps it holds for.
    """

    text: str
    count: int

    @property
    def advice(self) -> str:
        """What would have to be done; empty where the reason says it all.

        Examples
        --------
        >>> Reason("it needs 'draw', which is uncacheable", 3).advice
        'see the step that it needs'
        """
        return next((advice for start, advice in ADVICE if self.text.startswith(start)), "")


def why_not_kept(
    steps: Mapping[Any, PlannedStep], records: Collection[StepRecord] | None
) -> dict[str, tuple[Reason, ...]]:
    """Return for each step name why results of its steps that run are not kept, the most frequent reason first.

    Parameters
    ----------
    steps
        The steps of a plan.
    records
        What the workers recorded; None for a plan that has not run.

    Examples
    --------
    >>> why_not_kept({}, [StepRecord("a", "add", "ran", 0.002, note=QUICK, loading=0.1, least=1.0)])
    {'add': (Reason(text='too quick to be worth it (ran 2 ms, kept from 1.0 s on)', count=1),)}
    """
    found: dict[str, dict[str, list[Times]]] = {}
    for name, text, *times in _each(steps, records):
        found.setdefault(name, {}).setdefault(text, []).append((times[0], times[1], times[2]))
    told: dict[str, tuple[Reason, ...]] = {}
    for name, texts in found.items():
        reasons = [Reason(_with_times(text, times), len(times)) for text, times in texts.items()]
        told[name] = tuple(sorted(reasons, key=lambda reason: -reason.count))
    return told


def _each(
    steps: Mapping[Any, PlannedStep], records: Collection[StepRecord] | None
) -> Iterator[tuple[str, str, float, float, float]]:
    """Yield the step name, the reason, and the times of each result that is not kept."""
    told = set()
    for record in records or ():
        if record.action == "ran" and not record.kept and record.note.startswith(NOT_KEPT):
            told.add((record.key, record.name))
            yield record.name, record.note.removeprefix(NOT_KEPT), record.seconds, record.loading, record.least
    for key, step in steps.items():
        if step.action == "run" and (key, step.name) not in told and (reason := reason_of(step)):
            yield step.name, reason, 0.0, 0.0, 0.0


def reason_of(step: PlannedStep) -> str:
    """Return why the result of a step that runs will not be kept; empty if it may be."""
    if step.step_key is None:
        return step.reason or "uncacheable"
    return step.unkept


def _with_times(text: str, times: Collection[Times]) -> str:
    """Return a reason with how long these steps ran on average, and how long they would have had to."""
    seconds, loading, least = (sum(column) / len(times) for column in zip(*times, strict=True))
    if text != QUICK.removeprefix(NOT_KEPT) or not seconds:
        return text
    if least > seconds:
        return f"{text} (ran {units.duration(seconds)}, kept from {units.duration(least)} on)"
    if loading:
        return f"{BY_POLICY} (ran {units.duration(seconds)}, loads in {units.duration(loading)})"
    return f"{text} (ran {units.duration(seconds)})"
