"""What a day of edits took, as it is saved after each run: table and picture are made of nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from day_edits import PARTS
from rich.table import Table

PLAIN, BEST = "plain", "best in hindsight"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run took, in seconds; how many steps of each name ran, and what they took; whether plain had the same."""

    processor: float
    waited: float
    ran: Mapping[str, int] = field(default_factory=dict)
    spent: Mapping[str, float] = field(default_factory=dict)
    differs: bool = False


@dataclass
class Day:
    """A day: how it was ordered, the kinds of its edits, and for each way the figures of its runs so far.

    `running` is the run that was begun last: its number and its way. One that was interrupted may have kept results
    that it finds when it runs again, so that its figures are too good: `again` has these.
    """

    order: Mapping[str, Any]
    kinds: list[str]
    runs: dict[str, list[Figures]]
    running: list[Any] | None = None
    again: list[list[Any]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Day:
        found = json.loads(path.read_text())
        return cls(**found | {"runs": {way: [Figures(**one) for one in runs] for way, runs in found["runs"].items()}})

    def save(self, path: Path) -> None:
        """Write it whole: an interruption leaves the one of before."""
        beside = path.with_name(f".{path.name}.part")
        beside.write_text(json.dumps(asdict(self)))
        os.replace(beside, path)

    @property
    def done(self) -> int:
        """After how many edits, with the cold run, every way has run."""
        return min(map(len, self.runs.values()))

    def each(self, what: str) -> dict[str, list[float]]:
        """The seconds of each way, `processor` or `waited`, and of the best in hindsight, run by run."""
        found = {way: [getattr(one, what) for one in runs[: self.done]] for way, runs in self.runs.items()}
        if "all" in found:
            found[BEST] = in_hindsight(found[PLAIN], self.runs["all"][: self.done])
        return found

    @property
    def differ(self) -> dict[str, int]:
        """How many runs of each way gave other histograms than plain's."""
        return {way: sum(one.differs for one in runs) for way, runs in self.runs.items() if way != PLAIN}


def in_hindsight(plain: list[float], everything: list[Figures]) -> list[float]:
    """What each run takes if it runs only what no run before it ran, at the speed of dask's own client, and keeps all.

    Keeping, looking and loading cost nothing then, so that no policy gets there. What ran is told by the runs that kept
    everything, and what a step of each name takes by the first of these, which ran all steps: later runs have the
    processors' caches and the disk more to themselves. What a step takes is without the steps that it calls.
    """
    cold = everything[0]
    each = {name: cold.spent[name] / ran for name, ran in cold.ran.items() if ran}
    whole = sum(cold.spent.values())

    def part(kept: Figures) -> float:
        return (
            sum(ran * each[name] if name in each else kept.spent.get(name, 0.0) for name, ran in kept.ran.items())
            / whole
        )

    return [own * part(kept) for own, kept in zip(plain, everything, strict=True)]


def table(day: Day) -> Table:
    """A row a way: the whole day, how many times plain takes it, and a run after each kind of edit."""
    kinds, processor, waited, differ = day.kinds[: day.done], day.each("processor"), day.each("waited"), day.differ
    shown = Table(
        title=f"a day of {day.done - 1} edits, seconds of processor time",
        title_justify="left",
        caption="".join(f"run {number} of {way} was interrupted and begun again\n" for number, way in day.again),
        caption_justify="left",
    )
    named = [kind for kind in PARTS if kind in kinds]
    titles = ("day", "plain / this", "cold", *(f"{kind} ({kinds.count(kind)})" for kind in named), "waited", "differ")
    for column in ("", *titles):
        shown.add_column(column, justify="left" if not column else "right")
    for way, each in processor.items():
        means = [fmean(one for one, of in zip(each, kinds, strict=True) if of == kind) for kind in ("cold", *named)]
        faster = f"{sum(processor[PLAIN]) / sum(each):.2f}"
        wait, wrong = f"{sum(waited[way]):.0f}", str(differ[way]) if way in differ else ""
        shown.add_row(way, f"{sum(each):.0f}", faster, *(f"{mean:.1f}" for mean in means), wait, wrong)
    return shown
