"""Sizes as areas: rectangles that fill one, each as large as its share and as square as that allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Box(NamedTuple):
    """One rectangle: which of the sizes it stands for, and where it lies."""

    number: int
    x: float
    y: float
    width: float
    height: float


def treemap(sizes: Sequence[float], width: float, height: float) -> Iterator[Box]:
    """Yield a rectangle for each size above 0, the largest first; together they fill the area.

    Examples
    --------
    >>> for box in treemap([3, 1], 4, 3):
    ...     print(box)
    Box(number=0, x=0.0, y=0.0, width=3.0, height=3.0)
    Box(number=1, x=3.0, y=0.0, width=1.0, height=3.0)
    """
    order = sorted((number for number in range(len(sizes)) if sizes[number] > 0), key=lambda each: -sizes[each])
    if not order:
        return
    scale = width * height / sum(sizes[number] for number in order)
    areas = [(number, sizes[number] * scale) for number in order]
    x, y = 0.0, 0.0
    while areas:
        side = min(width, height)
        count = 1
        while count < len(areas) and _worst(areas[: count + 1], side) <= _worst(areas[:count], side):
            count += 1
        row, areas = areas[:count], areas[count:]
        thickness = sum(area for _, area in row) / side
        at = 0.0
        for number, area in row:
            length = area / thickness
            if width >= height:  # a column at the left
                yield Box(number, x, y + at, thickness, length)
            else:
                yield Box(number, x + at, y, length, thickness)
            at += length
        if width >= height:
            x, width = x + thickness, width - thickness
        else:
            y, height = y + thickness, height - thickness


def _worst(row: Sequence[tuple[int, float]], side: float) -> float:
    """Return how far from square the worst rectangle of a row is."""
    total = sum(area for _, area in row)
    return max(max(side**2 * area / total**2, total**2 / (side**2 * area)) for _, area in row)
