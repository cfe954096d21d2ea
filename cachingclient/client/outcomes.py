"""What became of the steps of a run: whether each result is that of the whole chain of steps as it was planned.

A worker tells what it did for a step. The step's outcome is *sound* once that is known of all the steps before it too,
and each of them ran, or was loaded, as planned. One that did not is *unsound*, and so is all that comes after it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from cachingclient.graph import Key
from cachingclient.hashing.inputs.trace import Trace
from cachingclient.plan.record import StepRecord
from cachingclient.plan.steps import Action, PlannedStep
from cachingclient.plan.variants import trace_of

State = Literal["waiting", "sound", "unsound"]
TOOK = "it took the result of"
SPOILED = "changed it in place"


@dataclass(slots=True, eq=False)
class Outcome:
    """What became of one step of one run.

    Attributes
    ----------
    name, step_key
        The step's, as planned.
    state
        Whether its result is what its step key promises.
    reason
        Why it is not.
    told
        Whether a worker has told of it.
    waits
        How many of the steps before it have to be known first.
    fact
        The key under which a worker filed the result; empty if it is not kept.
    trace
        What the result depends on beside its key: first what was seen of its step, in the end of the whole chain.
    before, after
        The outcomes of the steps whose results it took, and those that took its own.
    overwrite
        Whether what is filed under the step key is replaced.
    record
        What the worker told, as the report has it.
    """

    name: str
    step_key: str | None
    state: State = "waiting"
    reason: str = ""
    told: bool = False
    waits: int = 0
    fact: str = ""
    trace: Trace = field(default_factory=Trace)
    before: list[Outcome] = field(default_factory=list)
    after: list[Outcome] = field(default_factory=list)
    overwrite: bool = False
    record: StepRecord | None = None


class Chains:
    """The outcomes of the steps of one run.

    Parameters
    ----------
    steps
        The plan.
    earlier
        The outcomes of steps that earlier runs sent and this one takes results from.
    silent
        The steps that nobody tells of: parts of dask itself.
    spoiled
        Gets the keys whose results were changed in place.
    overwrite
        Whether new results replace what is there (``mode="refresh"``).

    Examples
    --------
    >>> step = PlannedStep("a", "a", Action.RUN, "0f" * 16, "", None, True, frozenset())
    >>> chains = Chains({"a": step}, {})
    >>> [outcome.name for outcome in chains.take(StepRecord("a", "a", "ran", fact="ab" * 16, sound=True))]
    ['a']
    """

    def __init__(
        self,
        steps: Mapping[Key, PlannedStep],
        earlier: Mapping[Key, Outcome],
        silent: Container[Key] = (),
        spoiled: set[Key] | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        self._steps = steps
        self._spoiled = spoiled if spoiled is not None else set()
        self._earlier = earlier
        self._silent = silent
        self._overwrite = overwrite
        self._own: dict[Key, Outcome] = {}

    def outcome(self, key: Key) -> Outcome:
        """Return the outcome of a step of this run, or of the earlier run that it belongs to."""
        own = self._own.get(key)
        if own is not None and own.told:
            return own
        earlier = self._earlier.get(key)
        step = self._steps.get(key)
        if earlier is not None and (step is None or step.step_key == earlier.step_key):
            return earlier
        return own if own is not None else self._new(key)

    def _new(self, key: Key) -> Outcome:
        step = self._steps.get(key)
        if step is None:
            return Outcome(str(key), None)  # nobody will tell of it
        outcome = self._own[key] = Outcome(step.name, step.step_key, overwrite=self._overwrite)
        if step.action in (Action.DATA, Action.ALIAS) or key in self._silent:
            outcome.told = True
            self._wait_for(outcome, step.dependencies)
            list(_settle(outcome))
        return outcome

    def take(self, record: StepRecord) -> Iterator[Outcome]:
        """Take a worker's record; yield the outcomes that are sound now and are to be filed under their step keys."""
        step = self._steps.get(record.key)
        if step is None:
            return
        if record.spoiled:
            yield from self._spoil(step)
        outcome = self._own.get(record.key) or self._new(record.key)
        if not record.sound and (step.step_key is not None or record.sound is False):
            yield from _settle(outcome, record.note.removeprefix("not kept: ") or "nothing tells of its code")
            return
        if outcome.state != "waiting" or outcome.told:
            return
        outcome.told, outcome.record = True, record
        if record.action == "loaded":
            outcome.trace = trace_of(step.info) if step.info is not None else record.trace
        else:
            outcome.trace, outcome.fact = record.trace, record.fact
            self._wait_for(outcome, step.dependencies)
        yield from _settle(outcome)

    def _spoil(self, step: PlannedStep) -> Iterator[Outcome]:
        """Believe the results no more that a step changed in place, whatever they were before."""
        waiting = list(step.dependencies)
        while waiting:
            key = waiting.pop()
            self._spoiled.add(key)
            yield from _settle(self.outcome(key), f"{step.name!r} {SPOILED}")
            before = self._steps.get(key)
            if before is not None and before.action is Action.ALIAS:
                waiting += before.dependencies

    def _wait_for(self, outcome: Outcome, keys: Iterable[Key]) -> None:
        """Have an outcome wait for those of the steps before it."""
        for key in keys:
            earlier = self.outcome(key)
            outcome.before.append(earlier)
            if earlier.state == "waiting":
                outcome.waits += 1
                earlier.after.append(outcome)


def _settle(outcome: Outcome, refused: str = "") -> Iterator[Outcome]:
    """Decide an outcome, and all that waited for it alone; yield what is decided."""
    waiting = [(outcome, refused)]
    while waiting:
        outcome, reason = waiting.pop()
        if outcome.state == "unsound" or (not reason and (outcome.state == "sound" or outcome.waits)):
            continue
        if not reason:
            if not outcome.told:
                continue
            reason = _chain(outcome)
        after = outcome.after if outcome.state == "waiting" else []
        outcome.state = "unsound" if reason else "sound"
        outcome.reason, outcome.before, outcome.after = reason, [], []
        for each in after:
            each.waits -= 1
            waiting.append((each, ""))
        yield outcome


def _chain(outcome: Outcome) -> str:
    """Put the traces of the steps before an outcome into its own; return why its chain is not sound."""
    for before in outcome.before:
        if before.state == "unsound":
            again = before.reason.startswith(TOOK)
            return before.reason if again else f"{TOOK} {before.name!r}: {before.reason}"
    try:
        outcome.trace = outcome.trace.after(before.trace for before in outcome.before)
    except ValueError as error:
        return str(error)
    return ""
