"""Draws what the peers cost and save: a cold run beside plain, against what runs after it take."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, median
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # after the choice of what draws


def cost(one: dict[str, Any]) -> float:
    """The processor time of a cold run, plain = 1."""
    [own] = one["pairs"]["others"].values()
    around = [(before[1] + after[1]) / 2 for before, after in one["pairs"]["plain"]]
    return median(run[1] / plain for run, plain in zip(own, around, strict=True))


def saving(one: dict[str, Any]) -> float:
    """The part of plain's processor time that runs save, on average: unchanged, and after each edit."""
    plain = median(run[1] for both in one["pairs"]["plain"] for run in both)
    return 1 - fmean(run["processor"] / plain for name, run in one["runs"].items() if name != "cold")


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw a point a peer: filled where every result was right, a cross where some were stale or failed."""
    figure, axes = pyplot.subplots(figsize=(8.5, 4.8), constrained_layout=True)
    for one in found.values():
        if one["pairs"] is None:
            continue
        wrong = sum(run["stale"] + run["failed"] for run in one["runs"].values())
        colour, marker = ("#d55e00", "x") if wrong else ("#0072b2", "o")
        axes.plot(cost(one), saving(one), marker, color=colour, markersize=9, markeredgewidth=2)
        label = f"{one['title']}\n{wrong} results stale or failed" if wrong else one["title"]
        axes.annotate(label, (cost(one), saving(one)), (8, 4), textcoords="offset points", fontsize=8)
    axes.axhline(0, color="#999999", linewidth=0.8)
    axes.axvline(1, color="#999999", linewidth=0.8)
    axes.set_xlabel("cold run, processor time, plain = 1")
    axes.set_ylabel("part of plain's processor time saved,\nmean of unchanged and four edits")
    axes.margins(x=0.25, y=0.15)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
