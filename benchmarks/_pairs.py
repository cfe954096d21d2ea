"""What something costs beside the plain thing, on a machine that other work makes slower and faster.

Runs are interleaved: plain, then each of the others, then plain again, which is the first of the next repetition. Each
is compared with the mean of the two plain runs around it, by the processor time of all processes that take part.
A repetition whose plain runs differ by more than a tenth says more of the machine than of the program: it is dropped,
and another one made.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

DIFFERS = 0.1
"""The part by which the plain runs of a repetition may differ."""


@dataclass(frozen=True, slots=True)
class Spent:
    """The seconds that somebody waits for something, and those of the processor in all processes."""

    seconds: float
    processor: float


@dataclass(frozen=True, slots=True)
class Middle:
    """A median, with the quarters below and above it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Middle:
        """Of some figures; three are the least that have quarters."""
        low, _, high = statistics.quantiles(values, n=4) if len(values) > 2 else (min(values), 0.0, max(values))
        return cls(statistics.median(values), low, high)

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(slots=True)
class Pairs:
    """What each of some programs took, by repetition, against the plain one around it."""

    plain: list[tuple[Spent, Spent]] = field(default_factory=list)
    others: dict[str, list[Spent]] = field(default_factory=dict)
    dropped: int = 0

    def ratio(self, name: str, what: str = "processor") -> Middle:
        """How many times the plain program's time another one took."""
        around = [(getattr(before, what) + getattr(after, what)) / 2 for before, after in self.plain]
        return Middle.of([getattr(own, what) / one for own, one in zip(self.others[name], around, strict=True)])

    def plain_time(self, what: str = "processor") -> Middle:
        """What the plain program took."""
        return Middle.of([getattr(each, what) for both in self.plain for each in both])

    def table(self, title: str, at_most: Mapping[str, float] = {}) -> Table:
        """A row a program; with what has to be reached, where that is known."""
        dropped = f"{len(self.plain)} repetitions, {self.dropped} dropped; medians, and the quarters around them"
        shown = Table(title=title, caption=dropped, title_justify="left", caption_justify="left")
        for column in ("", "processor time, plain = 1", "waited, plain = 1", "at most"):
            shown.add_column(column)
        seconds = f"{self.plain_time()} s", f"{self.plain_time('seconds')} s"
        shown.add_row("plain", *seconds, "")
        for name in self.others:
            wanted = f"{at_most[name]:.2f}" if name in at_most else ""
            shown.add_row(name, str(self.ratio(name)), str(self.ratio(name, "seconds")), wanted)
        return shown

    def as_dict(self) -> dict[str, Any]:
        """All figures, for a file."""
        both = [[(each.seconds, each.processor) for each in pair] for pair in self.plain]
        others = {name: [(each.seconds, each.processor) for each in found] for name, found in self.others.items()}
        return {"plain": both, "others": others, "dropped": self.dropped}


def measure_pairs(
    plain: Callable[[], Spent],
    others: Mapping[str, Callable[[], Spent]],
    wanted: int = 7,
    most: int | None = None,
    say: Callable[[str], object] = print,
    seconds: float = math.inf,
) -> Pairs:
    """Run programs in turns until enough repetitions count, too many were made, or the time is over.

    Parameters
    ----------
    plain
        Runs what the others are compared with.
    others
        Run the others, by name.
    wanted
        How many repetitions have to count.
    most
        How many are made at most; three times as many by default.
    say
        Takes a line for each repetition.
    seconds
        After this time no further repetition begins, once one counts.

    Raises
    ------
    RuntimeError
        None of them counts: the machine is too busy to measure anything.
    """
    found = Pairs(others={name: [] for name in others})
    end = time.monotonic() + seconds
    before = plain()
    for number in range(most or 3 * wanted):
        names = list(others) if number % 2 else list(others)[::-1]  # none of them is always the first after plain
        own = {name: others[name]() for name in names}
        after = plain()
        apart = abs(after.processor - before.processor) / min(after.processor, before.processor)
        times = ", ".join(f"{name} {own[name].processor:.2f}" for name in others)
        line = f"plain {before.processor:.2f} and {after.processor:.2f} s, {times} s"
        say(f"{number + 1}: {line}{' (dropped)' if apart > DIFFERS else ''}")
        if apart > DIFFERS:
            found.dropped += 1
        else:
            found.plain.append((before, after))
            for name, spent in own.items():
                found.others[name].append(spent)
        before = after
        if len(found.plain) == wanted or (time.monotonic() > end and (found.plain or number > wanted)):
            break
    if not found.plain:
        raise RuntimeError(f"the plain runs of each of {found.dropped} repetitions differ by more than a tenth")
    return found
