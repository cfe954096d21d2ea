"""A day of an analyst: edits of the ttbar example one after another, each followed by a run.

    python benchmarks/agc/day.py --edits 50 --scale 1

Histograms are edited most often and what is read least often. The sequence is the same for the same seed, and may come
back to a value that it had before. Each run has processes and a cluster of its own; the runs of a policy share a store.
What counts is the processor time of client, scheduler and workers, which other work on the machine changes less than
what somebody waits. The histograms of each run are compared with plain dask's, bit for bit: the exit status is 1 when
some differ.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import click
from day_picture import draw
from phase import AGC, PLAIN_OF, ROOT, Outcome, Phase, run
from rich.console import Console
from rich.table import Table

sys.path[:0] = [str(AGC), str(ROOT / "benchmarks"), str(ROOT)]

from generator.make_data import make_data, usual_folder  # noqa: E402 - the example is not installed
from run import same  # noqa: E402 - it needs the example


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a module that is edited, as it is and what it may become."""

    module: str
    old: str
    others: tuple[str, ...]


PARTS = {"histogram": 40, "observable": 25, "variation": 15, "selection": 15, "loading": 5}
"""How often each kind of edit is made, of a hundred."""
LINES: Mapping[str, tuple[Line, ...]] = {
    "histogram": (
        Line(
            "ttbar.py",
            "HT_BINNING = (25, 50.0, 550.0)",
            tuple(f"HT_BINNING = ({bins}, 50.0, 550.0)" for bins in (20, 30, 50, 100)),
        ),
        Line(
            "ttbar.py",
            "TRIJET_BINNING = (25, 50.0, 550.0)",
            tuple(f"TRIJET_BINNING = (25, 50.0, {end}.0)" for end in (500, 600, 700)),
        ),
    ),
    "observable": (
        Line("ttbar.py", "B_TAG_THRESHOLD = 0.5", ("B_TAG_THRESHOLD = 0.6", "B_TAG_THRESHOLD = 0.7")),
        Line("ttbar.py", "JET_PT_MIN = 30.0", ("JET_PT_MIN = 28.0", "JET_PT_MIN = 32.0", "JET_PT_MIN = 35.0")),
    ),
    "variation": (Line("ttbar.py", "PT_SCALE = 0.03", ("PT_SCALE = 0.02", "PT_SCALE = 0.025", "PT_SCALE = 0.04")),),
    "selection": (
        Line("ttbar.py", "LEPTON_PT_MIN = 30.0", ("LEPTON_PT_MIN = 32.0", "LEPTON_PT_MIN = 35.0")),
        Line("ttbar.py", "MUON_ISO_MAX = 0.15", ("MUON_ISO_MAX = 0.1", "MUON_ISO_MAX = 0.2")),
    ),
    "loading": (
        Line("columns.py", '    "Muon_mass": 0.10566,', ('    "Muon_mass": 0.1057,', '    "Muon_mass": 0.106,')),
    ),
}


@dataclass(frozen=True, slots=True)
class DayEdit:
    """An edit of a day: its kind, and all lines that are other than in the example from then on."""

    kind: str
    lines: Mapping[Line, str]

    def write(self, folder: Path) -> Path:
        """Write the modules as they are after this edit; returns the folder.

        Raises
        ------
        ValueError
            A line is not there exactly once.
        """
        folder.mkdir(parents=True)
        for name in ("ttbar.py", "columns.py"):
            lines = (AGC / name).read_text().split("\n")
            for line, new in self.lines.items():
                if line.module == name:
                    if lines.count(line.old) != 1:
                        raise ValueError(f"{name} has the line {line.old!r} {lines.count(line.old)} times, not once")
                    lines[lines.index(line.old)] = new
            (folder / name).write_text("\n".join(lines))
        return folder


def day(edits: int, seed: int) -> list[DayEdit]:
    """The edits of a day."""
    draw, lines, found = random.Random(seed), {}, []
    for _ in range(edits):
        kind = draw.choices(list(PARTS), list(PARTS.values()))[0]
        line = draw.choice(LINES[kind])
        now = lines.get(line, line.old)
        lines = {**lines, line: draw.choice([new for new in (line.old, *line.others) if new != now])}
        found.append(DayEdit(kind, lines))
    return found


def in_hindsight(plain: list[float], everything: list[Outcome]) -> list[float]:
    """What each run takes if it runs only what no run before it ran, at the speed of dask's own client, and keeps all.

    Keeping, looking and loading cost nothing then, so that no policy gets there. What ran is told by the runs that kept
    everything, and what a step of each name takes by the first of these, which ran all steps: later runs have the
    processors' caches and the disk more to themselves.
    """
    cold = everything[0]
    each = {name: cold.spent[name] / ran for name, ran in cold.ran.items() if ran}
    whole = sum(cold.spent.values())

    def part(kept: Outcome) -> float:
        return sum(ran * each[name] if name in each else kept.spent[name] for name, ran in kept.ran.items()) / whole

    return [own * part(kept) for own, kept in zip(plain, everything, strict=True)]


def table(
    kinds: list[str],
    processor: Mapping[str, list[float]],
    waited: Mapping[str, list[float]],
    differ: Mapping[str, int],
) -> Table:
    """A row a policy: the whole day, how many times plain takes it, and a run after each kind of edit."""
    shown = Table(title=f"a day of {len(kinds) - 1} edits, seconds of processor time", title_justify="left")
    named = [kind for kind in PARTS if kind in kinds]
    titles = ("day", "plain / this", "cold", *(f"{kind} ({kinds.count(kind)})" for kind in named), "waited", "differ")
    for column in ("", *titles):
        shown.add_column(column, justify="left" if not column else "right")
    for name, each in processor.items():
        means = [fmean(one for one, of in zip(each, kinds, strict=True) if of == kind) for kind in ("cold", *named)]
        faster = f"{sum(processor['plain']) / sum(each):.2f}"
        wait, wrong = f"{sum(waited[name]):.0f}", str(differ[name]) if name in differ else ""
        shown.add_row(name, f"{sum(each):.0f}", faster, *(f"{mean:.1f}" for mean in means), wait, wrong)
    return shown


@click.command()
@click.option("--edits", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, help="1: 200,000 events.")
@click.option("--policy", "policies", type=click.Choice(["auto", "all"]), multiple=True, default=("auto", "all"))
@click.option("--budget", "budgets", multiple=True, help="Of auto beside its default, such as 3%; may be given again.")
@click.option("--front", type=click.Choice(["delayed", "map", "coffea, steps"]), default="delayed", show_default=True)
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="File for all figures.")
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="File for a picture of the day.")
def main(
    edits: int,
    seed: int,
    scale: float,
    policies: tuple[str, ...],
    budgets: tuple[str, ...],
    front: str,
    workers: int,
    path: Path | None,
    picture: Path | None,
) -> None:
    """Run a day of edits with dask's own client and with each policy, and print what the day takes."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    order = Phase("day", str(AGC), str(make_data(usual_folder(scale), scale, console)), front=front, workers=workers)
    ways = {name: {"policy": name} for name in policies} | {
        f"auto, {budget}": {"policy": "auto", "budget": budget} for budget in budgets
    }
    kinds, outcomes = ["cold"], {name: [] for name in ("plain", *ways)}
    with TemporaryDirectory(prefix="agc-day-") as temporary:
        folder = Path(temporary).resolve()
        for number, edit in enumerate([DayEdit("cold", {}), *day(edits, seed)]):
            code, told = str(edit.write(folder / f"{number}")), []
            kinds[number:] = [edit.kind]
            for name, runs in outcomes.items():
                cache = None if name == "plain" else (folder / name).as_uri()
                how = ways.get(name) or {"front": PLAIN_OF.get(front, front)}
                runs.append(run(replace(order, code=code, cache=cache, **how)))
                told.append(f"{name} {runs[-1].work_seconds:.1f}")
            console.print(f"{number}: {edit.kind}: {', '.join(told)} s of processor time")
    waited = {name: [each.seconds for each in runs] for name, runs in outcomes.items()}
    processor = {name: [each.work_seconds for each in runs] for name, runs in outcomes.items()}
    right = [each.histograms for each in outcomes["plain"]]
    differ = {
        name: sum(not same(one, own.histograms) for one, own in zip(right, outcomes[name], strict=True))
        for name in ways
    }
    if "all" in outcomes:
        for found in (waited, processor):
            found["best in hindsight"] = in_hindsight(found["plain"], outcomes["all"])
    console.print(table(kinds, processor, waited, differ))
    console.print(f"load of the machine in the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if path is not None:
        path.write_text(json.dumps({"kinds": kinds, "processor": processor, "waited": waited, "differ": differ}))
    if picture is not None:
        draw(kinds, processor, picture)
    sys.exit(any(differ.values()))


if __name__ == "__main__":
    main()
