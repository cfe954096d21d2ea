"""The fit in pictures: pulls, and the data beside the model before and after it."""

from __future__ import annotations

from typing import Any

import cabinetry
import numpy as np
from draw import PROCESSES, new_figure
from fit import EDGES, REGIONS, SAMPLES
from matplotlib.figure import Figure


def pulls(result: Any) -> Figure:
    """How far the fit moved each nuisance parameter, and what it leaves of its uncertainty."""
    rows = [
        (label, value, error)
        for label, value, error in zip(result.labels, result.bestfit, result.uncertainty, strict=True)
        if label != "ttbar_norm" and not label.startswith("staterror")
    ][::-1]
    names, values, errors = zip(*rows, strict=True)
    figure = new_figure(7.0, 0.32 * len(rows) + 1.0)
    axes = figure.subplots()
    for size, shade in ((2, "#eeeeee"), (1, "#d9d9d9")):
        axes.axvspan(-size, size, color=shade, zorder=0)
    axes.axvline(0, color="black", linewidth=0.8, linestyle=":")
    axes.errorbar(values, range(len(rows)), xerr=errors, fmt="o", color="black", markersize=5, linewidth=1.5)
    axes.set_yticks(range(len(rows)), names)
    axes.set_xlim(-2.5, 2.5)
    axes.set_xlabel("pull, in units of the uncertainty before the fit", loc="right")
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


def before_and_after(model: Any, data: list[float], result: Any) -> Figure:
    """Both regions, as expected on the left and as fitted on the right, each with the ratio below."""
    figure = new_figure(11.0, 8.6)
    grid = figure.subplots(4, 2, height_ratios=[3, 1, 3, 1], sharex=True)
    predictions = (
        ("before the fit", cabinetry.model_utils.prediction(model)),
        ("after the fit", cabinetry.model_utils.prediction(model, fit_results=result)),
    )
    for column, (title, prediction) in enumerate(predictions):
        for number, region in enumerate(REGIONS):
            above, below = grid[2 * number][column], grid[2 * number + 1][column]
            measured = np.array(data[model.config.channel_slices[region]])
            yields = dict(zip(model.config.samples, prediction.model_yields[number], strict=True))
            spread = np.array(prediction.total_stdev_model_bins[number][-1])
            compared(above, below, measured, yields, spread)
            above.text(0.97, 0.93, f"{region}, {title}", transform=above.transAxes, ha="right", va="top", fontsize=12)
            below.set_xlabel(REGIONS[region], loc="right")
            below.tick_params(labelbottom=True)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return figure


def compared(above: Any, below: Any, measured: np.ndarray, yields: dict[str, Any], spread: np.ndarray) -> None:
    """One region: the processes above each other with the data, and the ratio of data and model."""
    total = np.zeros(len(measured))
    for process in [name for name in PROCESSES if SAMPLES[name] in yields]:
        added = total + np.array(yields[SAMPLES[process]])
        label, colour = PROCESSES[process]
        above.stairs(added, EDGES, baseline=total, fill=True, color=colour, label=label)
        total = added
    band = {"fill": True, "color": "none", "edgecolor": "black", "alpha": 0.45, "hatch": "/////", "linewidth": 0}
    above.stairs(total + spread, EDGES, baseline=total - spread, label="uncertainty", **band)
    centres = (np.array(EDGES[1:]) + np.array(EDGES[:-1])) / 2
    points = {"fmt": "o", "color": "black", "markersize": 4, "linewidth": 1}
    above.errorbar(centres, measured, yerr=np.sqrt(measured), label="pseudodata", **points)
    above.set_ylabel("events / 40 GeV", loc="top")
    above.set_xlim(EDGES[0], EDGES[-1])
    above.set_ylim(0, 1.2 * max(measured.max(), total.max()))
    below.stairs(1 + spread / total, EDGES, baseline=1 - spread / total, **band)
    below.errorbar(centres, measured / total, yerr=np.sqrt(measured) / total, **points)
    below.axhline(1, color="black", linewidth=0.8, linestyle=":")
    below.set_ylim(0.7, 1.3)
    below.set_ylabel("ratio")
