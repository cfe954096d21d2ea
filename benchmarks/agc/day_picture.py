"""Draws a day of edits: the processor time that each policy has taken so far, edit by edit.

python benchmarks/agc/day_picture.py day.json day.png
"""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import click
import matplotlib
import numpy
from day_figures import BEST, PLAIN, Day

matplotlib.use("Agg")
from matplotlib import pyplot  # after the choice of what draws

STYLES = {PLAIN: ("#555555", "-"), "auto": ("#0072b2", "-"), "all": ("#d55e00", "-"), BEST: ("k", ":")}
"""The colour and the line of each; budgets have greens, the larger the darker."""


def draw(day: Day, path: Path) -> None:
    """Draw a line a policy over the edits, and write at its end what the day took."""
    kinds, processor = day.kinds[: day.done], day.each("processor")
    figure, axes = pyplot.subplots(figsize=(max(8.5, 1.5 + 0.2 * len(kinds)), 4.8), constrained_layout=True)
    budgets = [name for name in processor if name not in STYLES]
    greens = dict(zip(budgets, pyplot.colormaps["Greens"](numpy.linspace(0.4, 1, len(budgets))), strict=True))
    for name, each in processor.items():
        colour, line = STYLES.get(name) or (greens[name], "-")
        total = list(accumulate(each))
        axes.plot(range(len(total)), total, line, color=colour, label=f"{name}: {total[-1]:.0f} s", marker=".")
    axes.set_xticks(range(len(kinds)), kinds, rotation=60 if len(kinds) < 20 else 90, ha="right", fontsize=8)
    axes.set_xlabel("what was edited, run by run")
    axes.set_ylabel("processor time so far [s]")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False, title=day.order["front"])
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


@click.command(help=__doc__)
@click.argument("figures", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("picture", type=click.Path(dir_okay=False, path_type=Path))
def main(figures: Path, picture: Path) -> None:
    draw(Day.read(figures), picture)


if __name__ == "__main__":
    main()
