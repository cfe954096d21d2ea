"""The two distributions as stacked histograms with their uncertainty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Drawn from the bottom up; the colours keep their order for readers who can't tell hues apart.
PROCESSES = {
    "single_top_s_chan": ("single top, s-channel", "#94a4a2"),
    "single_top_t_chan": ("single top, t-channel", "#a96b59"),
    "single_top_tW": ("tW", "#e76300"),
    "wjets": ("W + jets", "#ffa90e"),
    "ttbar": (r"$t\bar{t}$", "#3f90da"),
}
REGIONS = {
    "4j1b": ("ht", "at least 4 jets, 1 b-tag", (100.0, 550.0)),
    "4j2b": ("trijet_mass", "at least 4 jets, at least 2 b-tags", (50.0, 550.0)),
}
NOMINAL = "nominal"


def draw(histograms: dict[str, Any], folder: Path, luminosity: float) -> list[Path]:
    """Draw each region into a PNG file in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for region, histogram in histograms.items():
        figure = new_figure(7.0, 5.6)
        panel(figure.subplots(), region, histogram, luminosity)
        path = folder / f"{REGIONS[region][0]}.png"
        figure.savefig(path)
        paths.append(path)
    return paths


def side_by_side(histograms: dict[str, Any], luminosity: float) -> Figure:
    """The regions in one figure, as a notebook shows them."""
    figure = new_figure(12.0, 4.6)
    for axes, (region, histogram) in zip(figure.subplots(1, len(histograms)), histograms.items(), strict=True):
        panel(axes, region, histogram, luminosity)
    return figure


def new_figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)  # neither the user's backend nor pyplot's state is touched
    return figure


def panel(axes: Any, region: str, histogram: Any, luminosity: float) -> None:
    """One region."""
    _, title, shown = REGIONS[region]
    stack(axes, histogram)
    axes.set_xlim(*shown)
    axes.set_xlabel(histogram.axes[0].label, loc="right", fontsize=13)
    width = histogram.axes[0].widths[0]
    axes.set_ylabel(f"events / {width:g} GeV", loc="top", fontsize=13)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.12)
    axes.text(0.03, 0.95, title, transform=axes.transAxes, fontsize=11, va="top")
    axes.set_title(f"{luminosity / 1000:.1f} fb$^{{-1}}$ (13 TeV)", loc="right", fontsize=12)
    axes.set_title("simulation", loc="left", fontsize=12, style="italic")
    axes.legend(*reversed_legend(axes), frameon=False, fontsize=10, loc="upper right")
    axes.tick_params(direction="in", which="both", top=True, right=True)
    axes.minorticks_on()


def stack(axes: Any, histogram: Any) -> None:
    """The processes above each other, and the uncertainty of their sum around it."""
    edges = histogram.axes[0].edges
    total = np.zeros(len(edges) - 1)
    present = list(histogram.axes["process"])
    for process in [name for name in PROCESSES if name in present]:
        label, colour = PROCESSES[process]
        above = total + values(histogram, process, NOMINAL)
        axes.stairs(above, edges, baseline=total, fill=True, color=colour, label=label)
        axes.stairs(above, edges, color="black", linewidth=0.4)
        total = above
    down, up = uncertainty(histogram, total)
    axes.stairs(
        up,
        edges,
        baseline=down,
        fill=True,
        color="none",
        edgecolor="black",
        alpha=0.45,
        hatch="/////",
        linewidth=0,
        label="uncertainty",
    )


def values(histogram: Any, process: str, variation: str) -> np.ndarray:
    return np.asarray(histogram[:, process, variation].values())


def uncertainty(histogram: Any, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sum less and more the sources of uncertainty in quadrature, statistics among them."""
    present = list(histogram.axes["process"])
    statistics = sum(np.asarray(histogram[:, process, NOMINAL].variances()) for process in present)
    squares = np.stack([statistics, statistics])
    for variation in histogram.axes["variation"]:
        shift = np.zeros_like(total)
        for process in present:
            varied = values(histogram, process, variation)
            if varied.any():
                shift += varied - values(histogram, process, NOMINAL)
        squares[0] += np.where(shift < 0, shift, 0.0) ** 2
        squares[1] += np.where(shift > 0, shift, 0.0) ** 2
    return total - np.sqrt(squares[0]), total + np.sqrt(squares[1])


def reversed_legend(axes: Any) -> tuple[list[Any], list[str]]:
    """Handles and labels from the top of the stack down, the band last."""
    handles, labels = axes.get_legend_handles_labels()
    return [*handles[-2::-1], handles[-1]], [*labels[-2::-1], labels[-1]]
