"""A plan drawn by step name: boxes from left to right, coloured by what happens to their steps."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cachingclient.plan.boxes import BOX_HEIGHT, BOX_WIDTH, Box, arrange, join, place
from cachingclient.plan.counts import Steps, name_order, state
from cachingclient.plan.record import StepRecord, last_of_each
from cachingclient.plan.summary import summarise
from cachingclient.plan.table import COLOURS, state_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREY = "#8a8a8a"


def draw(steps: Steps, path: str | Path, records: Iterable[StepRecord] | None = None) -> Path:
    """Draw a plan, or what was done about it, into a PNG, SVG or PDF file.

    Parameters
    ----------
    steps
        The steps of the plan, by their keys in the graph.
    path
        Where to; its suffix says in which format.
    records
        None for a plan that has not run.

    Returns
    -------
    pathlib.Path
        The file written.

    Notes
    -----
    Arrows are drawn along the order of the work only: where two names feed each other in turns, the way back
    is left out.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path is {path!r}; it takes that of a file to write, such as 'run.png'")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("a picture needs matplotlib: pip install matplotlib") from error

    records = None if records is None else list(records)
    layers = arrange(_boxes(steps, records))
    width, height = place(layers)
    width = max(width, 6.0)
    figure = Figure(figsize=(width + 0.6, height + 1.1), dpi=130)
    FigureCanvasAgg(figure)  # neither the user's backend nor pyplot's state is touched
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.3, width + 0.3), ylim=(-height - 0.15, 0.95))
    axes.axis("off")
    boxes = [box for layer in layers for box in layer]
    for box in boxes:
        for follower in box.after:
            _draw_arrow(axes, box, follower)
    for box in boxes:
        if box.name:
            _draw_box(axes, box, planned=records is None)
        else:
            axes.plot([box.x - BOX_WIDTH / 2, box.x + BOX_WIDTH / 2], [box.y, box.y], color=GREY, lw=1, zorder=1)
    _draw_head(axes, boxes, summarise(steps, records).headline, planned=records is None)
    figure.savefig(path)
    return Path(path)


def _boxes(steps: Steps, records: list[StepRecord] | None) -> list[Box]:
    """One box a step name, in the order of the work, joined where any of their steps are."""
    by_key = last_of_each(records or ())
    called = _called_inside(steps, by_key.values())
    names = [*_order_of_calls(called), *name_order(steps)]
    rank = {name: number for number, name in enumerate(dict.fromkeys(names))}
    boxes = {name: Box(name) for name in rank}
    joined = {(rank[record.name], rank[caller]) for record, caller in called if rank[record.name] < rank[caller]}
    for record, _ in called:
        boxes[record.name].states[record.action] += 1
    for key, step in steps.items():
        if step.action in ("data", "alias"):
            continue
        boxes[step.name].states[state(step, by_key.get((key, step.name)))] += 1
        before = {rank[name] for name in _names_before(steps, step.dependencies)}
        joined.update((other, rank[step.name]) for other in before if other < rank[step.name])
    in_order = list(rank)
    for other, own in sorted(joined):
        join(boxes[in_order[other]], boxes[in_order[own]])
    return list(boxes.values())


def _called_inside(steps: Steps, records: Iterable[StepRecord]) -> list[tuple[StepRecord, str]]:
    """The records of steps that a task called, each with the name of the step or task that its result went to."""
    callers = {str(key): step.name for key, step in steps.items()}
    inside = [record for record in records if record.key not in steps]
    callers |= {str(record.key): record.name for record in inside}
    found = [(record, callers.get(str(record.key).rpartition("/")[0])) for record in inside]
    return [(record, caller) for record, caller in found if caller is not None]


def _order_of_calls(called: list[tuple[StepRecord, str]]) -> list[str]:
    """The names of called steps, those that are called by others first."""
    depths: dict[str, int] = {}
    for record, _ in called:
        depths[record.name] = max(depths.get(record.name, 0), str(record.key).count("/"))
    return sorted(depths, key=lambda name: -depths[name])


def _names_before(steps: Steps, keys: Iterable[Any]) -> Iterator[str]:
    """The names of the steps behind keys, seen through aliases; plain data has none."""
    waiting = list(keys)
    while waiting:
        step = steps.get(waiting.pop())
        if step is None or step.action == "data":
            continue
        if step.action == "alias":
            waiting.extend(step.dependencies)
        else:
            yield step.name


def _draw_arrow(axes: Axes, box: Box, follower: Box) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    start = box.x + BOX_WIDTH / 2
    end = follower.x - BOX_WIDTH / 2 - (0.03 if follower.name else 0.0)
    if end > start:
        middle = (start + end) / 2
        points = [(start, box.y), (middle, box.y), (middle, follower.y), (end, follower.y)]
        curve = Curve(points, [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4])
    else:
        # Into the next band: along the gap between the two, so that nothing is crossed.
        right, left, gap = start + 0.14, end - 0.12, follower.gap
        turns = [(right, box.y), (right, gap), (left, gap), (left, follower.y)]
        curve = Curve([(start, box.y), *turns, (end, follower.y)])
    arrow = FancyArrowPatch(path=curve, arrowstyle="-|>" if follower.name else "-", mutation_scale=9)
    arrow.set(linewidth=1, edgecolor=GREY, facecolor=GREY if follower.name else "none", zorder=1)
    axes.add_patch(arrow)


def _draw_box(axes: Axes, box: Box, planned: bool) -> None:
    from matplotlib.patches import FancyBboxPatch, Rectangle

    left, bottom = box.x - BOX_WIDTH / 2, box.y - BOX_HEIGHT / 2
    [(commonest, _)], total = box.states.most_common(1), box.states.total()
    shape = FancyBboxPatch((left, bottom), BOX_WIDTH, BOX_HEIGHT, boxstyle="round,pad=0,rounding_size=0.06")
    shape.set(facecolor="white", edgecolor=COLOURS[commonest], linewidth=1.4, zorder=2)
    axes.add_patch(shape)
    present = [name for name in COLOURS if name in box.states]
    for name in present:
        width = BOX_WIDTH * box.states[name] / total
        part = Rectangle((left, bottom), width, BOX_HEIGHT, facecolor=COLOURS[name], alpha=0.32, zorder=3)
        axes.add_patch(part)
        part.set_clip_path(shape)
        left += width
    counts = "  ".join(f"{box.states[name]:,} {state_title(name, planned)}" for name in present)
    centred: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 4}
    axes.text(box.x, box.y + 0.1, _fit(box.name, 24), fontsize=8.5, color="black", **centred)
    axes.text(box.x, box.y - 0.13, _fit(counts, 38), fontsize=6.5, color="#333333", **centred)


def _fit(text: str, length: int) -> str:
    """A text with its middle left out where it is too long for a box: both ends of a name tell."""
    if len(text) <= length:
        return text
    return f"{text[: length // 2]}…{text[len(text) - length // 2 + 1 :]}"


def _draw_head(axes: Axes, boxes: list[Box], headline: str, planned: bool) -> None:
    from matplotlib.patches import Patch

    axes.text(0, 0.78, headline, fontsize=10, weight="bold", va="center")
    total = sum((box.states for box in boxes), Counter[str]())
    handles = [
        Patch(facecolor=COLOURS[name], alpha=0.6, label=f"{state_title(name, planned)} ({total[name]:,})")
        for name in COLOURS
        if name in total
    ]
    where: dict[str, Any] = {"bbox_to_anchor": (-0.05, 0.48), "bbox_transform": axes.transData}
    axes.legend(
        handles=handles, loc="center left", ncols=len(COLOURS), frameon=False, fontsize=8, borderaxespad=0, **where
    )
