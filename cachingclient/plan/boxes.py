"""Where the boxes of a picture go: layers from left to right, as for any layered graph drawing.

Layers follow the longest chain before a box; a layer that gets too tall is split; an arrow that passes layers
runs through waypoints, shared by all arrows of the same box; a few sweeps put each box near those it is joined
with; and a row that gets too long goes on in a band below.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

# In inches: a figure grows with its graph, its text stays the same size.
BOX_WIDTH, BOX_HEIGHT = 1.9, 0.56
COLUMN, ROW, WAYPOINT = 2.55, 0.76, 0.2
COLUMNS_A_BAND, ROWS_A_COLUMN = 9, 14
BETWEEN_BANDS = 0.8


@dataclass(slots=True, eq=False)
class Box:
    """One box, or a waypoint (no name) of arrows that pass its layer."""

    name: str = ""
    states: Counter[str] = field(default_factory=Counter)
    before: list[Box] = field(default_factory=list)
    after: list[Box] = field(default_factory=list)
    layer: int = 0
    x: float = 0.0
    y: float = 0.0
    gap: float = 0.0  # where the middle of the gap above its band is

    @property
    def height(self) -> float:
        """What it takes of its column."""
        return ROW if self.name else WAYPOINT


def join(box: Box, follower: Box) -> None:
    """Draw an arrow from a box to a follower."""
    if follower not in box.after:
        box.after.append(follower)
        follower.before.append(box)


def arrange(boxes: list[Box]) -> list[list[Box]]:
    """Layers of boxes and waypoints, ordered to cross little.

    Parameters
    ----------
    boxes
        In an order in which every box comes after those before it.

    Examples
    --------
    >>> load, select, fill = Box("load"), Box("select"), Box("fill")
    >>> for box, follower in [(load, select), (select, fill), (load, fill)]:
    ...     join(box, follower)
    >>> [[box.name for box in layer] for layer in arrange([load, select, fill])]
    [['load'], ['select', ''], ['fill']]
    """
    layers = _split(_layers(boxes))
    shared: dict[tuple[int, int], Box] = {}
    for box, follower in _long_arrows(boxes):
        # The end that has more arrows shares one line of waypoints: a bundle reads better than a brush.
        owner = box if len(box.after) >= len(follower.before) else follower
        _lead(box, follower, owner, layers, shared)
    for sweep in range(8):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            _order(layer, backwards=sweep % 2 == 1)
    return layers


def place(layers: list[list[Box]]) -> tuple[float, float]:
    """Give every box its place, y downwards from 0; returns the width and height of the whole."""
    top = 0.0
    for start in range(0, len(layers), COLUMNS_A_BAND):
        band = layers[start : start + COLUMNS_A_BAND]
        height = max(sum(box.height for box in layer) for layer in band)
        for column, layer in enumerate(band):
            for box in layer:
                box.x = column * COLUMN + BOX_WIDTH / 2
                box.y = -(top + height / 2 + box.y)
                box.gap = -(top - BETWEEN_BANDS / 2)
        top += height + BETWEEN_BANDS
    columns = min(len(layers), COLUMNS_A_BAND)
    return columns * COLUMN - (COLUMN - BOX_WIDTH), max(top - BETWEEN_BANDS, ROW)


def _layers(boxes: list[Box]) -> list[list[Box]]:
    for box in boxes:
        box.layer = 1 + max((before.layer for before in box.before), default=-1)
    for box in reversed(boxes):
        if not box.before and box.after:
            # A source stands next to its first user, not at the far left.
            box.layer = min(after.layer for after in box.after) - 1
    layers: list[list[Box]] = [[] for _ in range(1 + max((box.layer for box in boxes), default=-1))]
    for box in boxes:
        layers[box.layer].append(box)
    return layers


def _split(layers: list[list[Box]]) -> list[list[Box]]:
    """Tall layers as several, which moves those after them to the right."""
    split: list[list[Box]] = []
    for layer in layers:
        rows = -(-len(layer) // -(-len(layer) // ROWS_A_COLUMN))  # as even as it goes
        for start in range(0, len(layer), rows):
            part = layer[start : start + rows]
            for box in part:
                box.layer = len(split)
            split.append(part)
    return split


def _long_arrows(boxes: list[Box]) -> list[tuple[Box, Box]]:
    return [(box, after) for box in boxes for after in box.after if after.layer > box.layer + 1]


def _lead(box: Box, follower: Box, owner: Box, layers: list[list[Box]], shared: dict[tuple[int, int], Box]) -> None:
    """Replace an arrow by one along the waypoints of its owner, which is one of its two ends."""
    box.after.remove(follower)
    follower.before.remove(box)
    last = box
    for layer in range(box.layer + 1, follower.layer):
        waypoint = shared.get((id(owner), layer))
        if waypoint is None:
            waypoint = shared[id(owner), layer] = Box(layer=layer)
            layers[layer].append(waypoint)
        join(last, waypoint)
        last = waypoint
    join(last, follower)


def _order(layer: list[Box], backwards: bool) -> None:
    """Order a layer by the mean place of what it is joined with on one side, and stack it around 0."""

    def middle(box: Box) -> float:
        neighbours = box.after if backwards else box.before
        return sum(other.y for other in neighbours) / len(neighbours) if neighbours else box.y

    layer.sort(key=middle)
    top = -sum(box.height for box in layer) / 2
    for box in layer:
        box.y = top + box.height / 2
        top += box.height
