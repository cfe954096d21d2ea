"""Where boxes go, for graphs of every shape."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from cachingclient.plan.boxes import BOX_HEIGHT, COLUMNS_A_BAND, ROWS_A_COLUMN, Box, arrange, join, place


def graph(shape: str) -> list[Box]:
    """Sixty boxes of one of a few shapes, in the order of the work."""
    boxes = [Box(f"box {number}") for number in range(60)]
    chance = random.Random(1)
    for number, box in enumerate(boxes):
        earlier = {
            "alone": [],
            "chain": [number - 1],
            "fan": [0],
            "diamond": range(1, 59) if number == 59 else [0],
            "dense": chance.sample(range(number), min(number, 4)),
        }[shape]
        for other in earlier:
            if 0 <= other < number:
                join(boxes[other], box)
    return boxes


def reached(box: Box) -> set[str]:
    """The names that arrows lead to from a box, along waypoints."""
    names = set()
    for follower in box.after:
        names |= {follower.name} if follower.name else reached(follower)
    return names


@pytest.mark.parametrize("shape", ["alone", "chain", "fan", "diamond", "dense"])
def test_arrows_lead_where_they_led(shape: str) -> None:
    """Waypoints, shared or not, let every arrow arrive: none is lost; every hop goes one layer on."""
    before = {box.name: {after.name for after in box.after} for box in graph(shape)}
    boxes = graph(shape)
    layers = arrange(boxes)
    for box in boxes:
        assert before[box.name] <= reached(box)
    hops = [(box, after) for layer in layers for box in layer for after in box.after]
    assert all(after.layer == box.layer + 1 for box, after in hops)


@pytest.mark.parametrize("shape", ["alone", "chain", "fan", "diamond", "dense"])
def test_boxes_do_not_overlap(shape: str) -> None:
    """No two boxes share a place, no column is too tall, no band too long, and all is within the picture."""
    boxes = graph(shape)
    layers = arrange(boxes)
    width, height = place(layers)
    assert max(sum(bool(box.name) for box in layer) for layer in layers) <= ROWS_A_COLUMN
    assert len({box.x for box in boxes}) <= COLUMNS_A_BAND
    for one, other in combinations(boxes, 2):
        assert one.x != other.x or abs(one.y - other.y) > BOX_HEIGHT
    assert all(0 < box.x < width and -height < box.y < 0 for box in boxes)


def test_a_late_source_stands_beside_its_user() -> None:
    """What only a late step takes is drawn next to it, not at the far left."""
    first, second, third, late = (Box(name) for name in ("first", "second", "third", "late"))
    for box, follower in [(first, second), (second, third), (late, third)]:
        join(box, follower)
    arrange([first, late, second, third])
    assert late.layer == second.layer
