"""What the runs of `gains.py` come to: tables, and the figures that have to be reached."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phase import Outcome
from rich.table import Table
from run import same
from ttbar import jet_shifts, variation_names

Repetition = dict[tuple[str, str], Outcome]
"""What came of each run, by front end and what was edited; the plain client's under "plain"."""

PLAIN_OF = {"map": "delayed", "coffea, steps": "coffea"}
"""Front ends that are compared with another's plain run: the same work is sent."""
EQUAL_TO = PLAIN_OF | {"dask-awkward": "delayed"}
IN_LARGER_TASKS = ("coffea", "coffea, model", "dask-awkward")
"""Front ends with tasks of several steps: an edit of one runs the others of its task too."""
LEAST = {("delayed", "nothing"): 40.0, ("coffea, steps", "nothing"): 25.0, ("coffea, model", "cold"): 1.5}
COLD_AT_MOST = 1.05
SHARE_OF_IDEAL = 0.9
PLANNING_AT_MOST = 50.0

ENDING = {"fill": 1.0, "merge": 1.0, "normalise": 1.0}


def share_after(edit: str) -> dict[str, float]:
    """Which part of the steps of each name an edit reaches."""
    return {
        "nothing": {},
        "plotting range": ENDING,
        "observable": ENDING | {"observe": 1.0, "weigh_btags": 1.0},
        "variation": ENDING | {"scale_jets": 2 / len(jet_shifts()), "observe": 2 / len(variation_names("nominal"))},
        "selection": ENDING
        | dict.fromkeys(("select_objects", "scale_jets", "smear_jets", "observe", "weigh_btags"), 1.0),
    }[edit]


def ideal(edit: str, spent: Mapping[str, float]) -> float:
    """The speed-up of a serial run for which everything before the edit is free."""
    after = sum(share * spent.get(name, 0.0) for name, share in share_after(edit).items())
    return sum(spent.values()) / after if after else math.inf


@dataclass(frozen=True, slots=True)
class Budget:
    """One figure that has to be reached."""

    what: str
    measured: str
    wanted: str
    met: bool


def plain_of(front: str) -> tuple[str, str]:
    return PLAIN_OF.get(front, front), "plain"


def median(repetitions: list[Repetition], run: tuple[str, str], field: str = "seconds") -> float:
    return statistics.median(getattr(found[run], field) for found in repetitions)


def speed_up(repetitions: list[Repetition], run: tuple[str, str]) -> float:
    """Against the plain run of the same repetition: a machine that slows down slows both."""
    return statistics.median(found[plain_of(run[0])].seconds / found[run].seconds for found in repetitions)


def all_equal(repetitions: list[Repetition]) -> bool:
    """Whether every run of unedited code gave the bits of the plain run that adds in the same order."""
    return all(
        same(found[EQUAL_TO.get(front, front), "plain"].histograms, outcome.histograms)
        for found in repetitions
        for (front, edit), outcome in found.items()
        if edit in ("plain", "cold", "nothing")
    )


def spent_by_step(repetitions: list[Repetition]) -> dict[str, float]:
    """What the steps of each name take, as the cold run of the graph measured them."""
    found: dict[str, float] = {}
    for each in repetitions:
        for name, seconds in each["delayed", "cold"].spent.items():
            found[name] = found.get(name, 0.0) + seconds / len(repetitions)
    return found


def edits_table(repetitions: list[Repetition]) -> Table:
    shown = Table(title="what is edited, by front end (seconds and speed-ups are medians)", title_justify="left")
    shown.add_column("front end")
    shown.add_column("edited")
    for title in ("seconds", "speed-up", "ideal", "of ideal", "loaded", "ran", "MB read", "MB kept"):
        shown.add_column(title, justify="right")
    spent = spent_by_step(repetitions)
    for (front, edit), outcome in repetitions[-1].items():
        speed, counts = speed_up(repetitions, (front, edit)), outcome.counts
        best = ideal(edit, spent) if edit not in ("plain", "cold") and front != "coffea, model" else math.nan
        shown.add_row(
            front,
            edit,
            f"{median(repetitions, (front, edit)):.2f}",
            "" if edit == "plain" else f"{speed:.2f}x",
            f"{best:.1f}x" if math.isfinite(best) else "",
            f"{speed / best:.0%}" if math.isfinite(best) else "",
            f"{counts.get('loaded', 0) + counts.get('cut_off', 0):,.0f}",
            f"{counts.get('ran', 0):,.0f}",
            f"{counts.get('bytes_loaded', 0) / 1e6:,.1f}",
            f"{counts.get('bytes_kept', 0) / 1e6:,.1f}",
            end_section=edit == "selection",
        )
    return shown


def budgets(repetitions: list[Repetition], costs: Any) -> list[Budget]:
    spent, runs = spent_by_step(repetitions), repetitions[0]
    found = []
    for run, wanted in LEAST.items():
        if run in runs:
            speed = speed_up(repetitions, run)
            found.append(Budget(", ".join(run), f"{speed:.1f}x faster", f"{wanted:g}x", speed >= wanted))
    for front, edit in runs:
        if edit not in ("plain", "cold", "nothing") and front not in IN_LARGER_TASKS:
            share = speed_up(repetitions, (front, edit)) / ideal(edit, spent)
            what, wanted = f"{front}, {edit} edited", f"{SHARE_OF_IDEAL:.0%}"
            found.append(Budget(what, f"{share:.0%} of the ideal", wanted, share >= SHARE_OF_IDEAL))
    for front in ("delayed", "coffea, steps"):
        if (front, "cold") in runs:
            found += cold_budgets(repetitions, front)
    equal = all_equal(repetitions)
    return [
        *found,
        Budget(
            f"planning of {costs.tasks:,} tasks",
            f"{costs.total:.1f} us a task (dask materialises in {costs.materialising:.1f}, "
            f"orders in {costs.ordering:.1f})",
            f"{PLANNING_AT_MOST:g} us",
            costs.total <= PLANNING_AT_MOST,
        ),
        Budget("histograms equal plain's", "bit for bit" if equal else "NO", "bit for bit", equal),
    ]


def cold_budgets(repetitions: list[Repetition], front: str) -> list[Budget]:
    """What a cold run costs: until the histograms are there, until all is kept, and in processor time."""
    plain, cold = plain_of(front), (front, "cold")
    ratio = 1 / speed_up(repetitions, cold)
    flushed = statistics.median(
        (found[cold].seconds + found[cold].flush_seconds) / found[plain].seconds for found in repetitions
    )
    worked = statistics.median(found[cold].work_seconds / found[plain].work_seconds for found in repetitions)
    figures = {"": ratio, " until all is kept": flushed, ", processor time": worked}
    return [
        Budget(f"{front}, cold run{what}", f"{figure - 1:+.1%}", f"{COLD_AT_MOST - 1:+.0%}", figure <= COLD_AT_MOST)
        for what, figure in figures.items()
    ]


def budgets_table(found: list[Budget]) -> Table:
    shown = Table(title="must reach", title_justify="left")
    for title in ("", "measured", "wanted", "met"):
        shown.add_column(title)
    for budget in found:
        shown.add_row(budget.what, budget.measured, budget.wanted, "yes" if budget.met else "[bold red]no[/]")
    return shown
