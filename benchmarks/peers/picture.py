"""Draws what the peers cost and save: a cold run beside plain, against what runs after it take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # after the choice of what draws

RIGHT, WRONG, LINE = "#0072b2", "#d55e00", "#999999"
GAP = 0.07
"""How far apart names are at least, of the part that is saved."""


def cost(one: dict[str, Any]) -> float:
    """The processor time of a cold run, plain = 1."""
    [own] = one["pairs"]["others"].values()
    around = [(before[1] + after[1]) / 2 for before, after in one["pairs"]["plain"]]
    return median(run[1] / plain for run, plain in zip(own, around, strict=True))


def saving(one: dict[str, Any]) -> float:
    """The part of plain's processor time that runs save, on average: unchanged, and after each edit."""
    plain = median(run[1] for both in one["pairs"]["plain"] for run in both)
    return 1 - fmean(run["processor"] / plain for name, run in one["runs"].items() if name != "cold")


def wrong(one: dict[str, Any]) -> int:
    """How many results were stale or not there, over all runs."""
    return sum(run["stale"] + run["failed"] for run in one["runs"].values())


def spread(heights: Sequence[float], gap: float = GAP) -> list[float]:
    """Heights for names, no two closer than the gap, as near as can be to these, which ascend."""
    found: list[float] = []
    for height in heights:
        found.append(max(height, found[-1] + gap) if found else height)
    moved = sum(found) - sum(heights)
    return [height - moved / len(found) for height in found]


def named(one: dict[str, Any]) -> str:
    """The name of a peer, and how many of its results were wrong."""
    results = sum(run["results"] for run in one["runs"].values())
    return f"{one['title']}: {wrong(one)} of {results} wrong" if wrong(one) else one["title"]


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw a point a peer: filled where every result was right, a cross where some were stale or not there."""
    shown = sorted((one for one in found.values() if one["pairs"] is not None), key=saving)
    figure, axes = pyplot.subplots(figsize=(9.5, 5), constrained_layout=True)
    axes.axhline(0, color=LINE, linewidth=0.8)
    axes.axvline(1, color=LINE, linewidth=0.8)
    for one, height in zip(shown, spread([saving(one) for one in shown]), strict=True):
        colour, marker = (WRONG, "x") if wrong(one) else (RIGHT, "o")
        place = (cost(one), saving(one))
        axes.plot(*place, marker, color=colour, markersize=9, markeredgewidth=2)
        line = {"arrowstyle": "-", "color": LINE, "linewidth": 0.6, "relpos": (0, 0.5), "shrinkB": 6}
        beside = {"textcoords": ("axes fraction", "data"), "verticalalignment": "center", "fontsize": 9}
        axes.annotate(named(one), place, (1.03, height), color=colour, arrowprops=line, **beside)
    axes.set_xlabel("cold run: processor time, plain = 1")
    axes.set_ylabel("processor time saved, of plain's:\nmean of unchanged and four edits")
    axes.set_title("filled: every result right; cross: some stale or not there", loc="left", fontsize=9)
    axes.margins(0.12)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
