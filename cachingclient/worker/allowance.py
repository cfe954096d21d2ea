"""What keeping may cost: a share of the time that the steps take, spent on the results that are worth most.

Each worker process holds an account for each client and store. The processor time that looking at arguments, encoding
and writing really took, and what filing takes, is charged to it, against the time that steps ran: also those that wait
for files elsewhere, but not what they wait for a processor. Calls of marked steps are among them.
Each kind of step, which is its name and its number of inputs, has a value: the seconds that a hit saves, times the
chance that it is asked for, for each second that keeping such a result took. The best kinds are kept first. Of the kind
that the budget ends in, the results with the smallest step keys are kept, so that the same run chooses nearly the same
ones again.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from cachingclient.forks.children import free_in_children
from cachingclient.forks.patience import helped_seconds
from cachingclient.plan.policy import Cost

ALWAYS = math.inf
"""The chance to be asked for of results that are always kept."""
TIMES = 100.0
"""A result is always kept if its step ran this many times as long as keeping it takes."""
AT_FIRST = 0.2
"""Seconds that may be spent before much has run: on short runs, and on what nothing is known of yet."""
LEFT = 0.5
"""The part of the budget that is left to the others whatever is always kept: chunks may be final results, and the steps
inside of them are what edits come back to."""
GUESSED_SECONDS, GUESSED_PER_BYTE = 0.003, 1e-9
"""What keeping a result takes, by guess, before any of its kind was kept."""
FILING_SECONDS = 0.0006
"""What client and scheduler take to hear of a kept result and to file it."""
MOST_TIMES = 3.0
"""How many times its estimate one result may tell of a kind: the first ones wait for imports, some for the disk."""
TASK_SECONDS = 0.002
"""The cost of one more task in a graph, for each input but the first."""
FAMILIAR = 8
"""After so many runs that left its arguments as they were, these are not looked at where nothing is to come of it."""
MOST_MISSES = 16
"""After so many look-ups in a row that found nothing, in one run, a kind of step is not looked up any more."""

Name = tuple[str, int]


def processor_seconds() -> float:
    """Return the processor time of this thread so far, with that of the helpers that it waited for."""
    return time.thread_time() + helped_seconds()


class Ran(NamedTuple):
    """What an account is told of one run of a step.

    Attributes
    ----------
    mark
        A number between 0 and 1 that is the step's own, by which some of a kind are chosen (`mark_of`).
    seconds
        How long the step ran, without what it waited for a processor.
    """

    mark: float
    seconds: float


@dataclass(slots=True)
class Kind:
    """What is known of the steps of one kind."""

    asked: float = ALWAYS
    runs: int = 0
    seconds: float = 0.0
    granted: int = 0
    kept: int = 0
    keeping: float = 0.0
    nbytes: float = 0.0
    changes_arguments: bool = False
    misses: tuple[str, int] = ("", 0)

    @property
    def typical(self) -> float:
        """The seconds that keeping a result of this kind takes."""
        return self.keeping / self.kept if self.kept else GUESSED_SECONDS

    @property
    def value(self) -> float:
        """The seconds that are saved for each second of keeping."""
        return self.asked * self.seconds / max(1, self.runs) / max(self.typical, 1e-6)

    def estimate(self, nbytes: int) -> float:
        """Return the seconds that keeping a result of this size may take."""
        if not self.kept:
            return GUESSED_SECONDS + GUESSED_PER_BYTE * nbytes
        larger = nbytes / max(1.0, self.nbytes / self.kept)
        return self.typical * max(1.0, larger) if larger > 2 else self.typical  # sizes are estimates themselves


@dataclass(slots=True)
class Grant:
    """The permission to keep one result, with what it was thought to cost."""

    account: Allowance
    kind: Kind
    nbytes: int
    estimate: float
    always: bool
    spent: float = 0.0

    def settle(self, seconds: float) -> None:
        """Charge what was really spent, with these seconds for writing the result."""
        self.spent += seconds
        self.account.settle(self)


@dataclass(slots=True)
class Allowance:
    """The account of one client and store.

    Parameters
    ----------
    part
        The part of the time of steps that may be spent; None for all that it takes.

    Examples
    --------
    >>> account = Allowance(0.03)
    >>> account.ran(2.0)
    >>> cost = Cost(seconds=0.05, nbytes=1000, inputs=1, load_seconds=0.001)
    >>> granted = [account.grant(("select", 1), 1.0, Ran(mark / 100, cost.seconds), cost) for mark in range(100)]
    >>> sum(each is not None for each in granted)
    86
    """

    part: float | None
    steps: float = 0.0
    spent: float = 0.0
    always: float = 0.0
    _kinds: dict[Name, Kind] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=lambda: free_in_children(threading.Lock()))

    def ran(self, seconds: float) -> None:
        """Count the time that a step ran."""
        with self._lock:
            self.steps += seconds

    def kind(self, name: Name) -> Kind:
        """Return what is known of a kind."""
        return self._kinds.setdefault(name, Kind())

    def expects(self, name: Name, asked: float, mark: float) -> bool:
        """Tell, before a step runs, whether its result is likely to be kept."""
        with self._lock:
            kind = self.kind(name)
            always = self.part is None or asked == ALWAYS
            if always or (kind.runs and kind.seconds >= TIMES * kind.typical * kind.runs):
                return True
            return self._has_room(kind, kind.typical, mark)

    def is_worth_a_look(self, name: Name, asked: float, mark: float, seeks_in: str) -> bool:
        """Tell whether the arguments of a step are looked at: to keep its result, or to find one in a run."""
        kind = self.kind(name)
        if kind.changes_arguments or kind.runs < FAMILIAR or self.expects(name, asked, mark):
            return True
        run, misses = kind.misses
        return bool(seeks_in) and not (run == seeks_in and misses >= MOST_MISSES)

    def sought(self, name: Name, run: str, found: bool) -> None:
        """Take down whether a look-up of a kind found anything in a run."""
        kind = self.kind(name)
        before, misses = kind.misses
        kind.misses = (run, 0 if found else 1 + (misses if before == run else 0))

    def grant(self, name: Name, asked: float, ran: Ran, cost: Cost) -> Grant | None:
        """Decide, after a step ran, whether its result is kept.

        Parameters
        ----------
        name
            The step's kind.
        asked
            The chance that the result is asked for, in proportion; `ALWAYS` for one that is kept in any case.
        ran
            Its run.
        cost
            What the step took, and its result.
        """
        with self._lock:
            kind = self.kind(name)
            kind.asked = min(asked, kind.asked)
            kind.runs += 1
            kind.seconds += ran.seconds + max(0, cost.inputs - 1) * TASK_SECONDS
            estimate = kind.estimate(cost.nbytes)
            always = self.part is None or asked == ALWAYS or ran.seconds >= TIMES * estimate
            if not always and not self._has_room(kind, estimate, ran.mark):
                return None
            kind.granted += 1
            self.spent += estimate
            self.always += estimate if always else 0.0
            return Grant(self, kind, cost.nbytes, estimate, always)

    def settle(self, grant: Grant) -> None:
        """Replace what keeping a result was thought to cost by what it did."""
        with self._lock:
            more = grant.spent - grant.estimate
            self.spent += more
            self.always += more if grant.always else 0.0
            grant.kind.kept += 1
            grant.kind.keeping += min(grant.spent, MOST_TIMES * grant.estimate)
            grant.kind.nbytes += grant.nbytes

    def _has_room(self, kind: Kind, estimate: float, mark: float) -> bool:
        if not self.part:
            return False
        limit = AT_FIRST + self.part * self.steps
        left = max(limit - self.always, LEFT * limit)
        if self.spent - self.always + estimate > left:
            return False
        return not kind.granted or mark < self._share(kind, left)

    def _share(self, kind: Kind, left: float) -> float:
        """Return the part of the results of a kind that the budget is enough for, after those of better kinds."""
        better = [each for each in self._kinds.values() if each is not kind and kind.value < each.value < ALWAYS]
        left -= sum(each.runs * each.typical for each in better)
        return max(0.0, left) / max(kind.runs * kind.typical, 1e-9)


def mark_of(step_key: bytes | None) -> float:
    """Return the number between 0 and 1 that a step has in each run.

    Examples
    --------
    >>> mark_of(bytes([128] + [0] * 15)), mark_of(None)
    (0.5, 0.0)
    """
    return int.from_bytes(step_key[:4], "big") / 2**32 if step_key is not None else 0.0
