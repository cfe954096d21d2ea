"""Crafts of payloads that are awkward arrays: forms, offsets and buffers that can't be so."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tests.trust.crafting import Scene, craft, payload, pickled
from tests.trust.listed_payloads import LENGTHS, case, cases

NUMBERS = {"class": "NumpyArray", "primitive": "float64", "inner_shape": [], "parameters": {}, "form_key": "node1"}


def awkward(form: Any, length: Any, buffers: dict[str, int], *frames: bytes, behavior: Any = None) -> bytes:
    tree = {"codec": "awkward", "form": form, "length": length, "record": False, "buffers": buffers}
    return payload({**tree, "attrs": LENGTHS, "behavior": behavior}, *frames)


def lists(offsets: list[int]) -> bytes:
    form = {"class": "ListOffsetArray", "offsets": "i64", "content": NUMBERS, "parameters": {}, "form_key": "node0"}
    data = np.array(offsets, "i8").tobytes()
    return awkward(form, len(offsets) - 1, {"node0-offsets": 0, "node1-data": 1}, data, bytes(64))


def indexed(index: list[int], kind: str = "IndexedArray") -> bytes:
    form = {"class": kind, "index": "i64", "content": NUMBERS, "parameters": {}, "form_key": "node0"}
    data = np.array(index, "i8").tobytes()
    return awkward(form, len(index), {"node0-index": 0, "node1-data": 1}, data, bytes(64))


def union(tags: list[int], index: list[int]) -> bytes:
    other = {**NUMBERS, "primitive": "bool", "form_key": "node2"}
    form = {"class": "UnionArray", "tags": "i8", "index": "i64", "contents": [NUMBERS, other], "form_key": "node0"}
    buffers = {"node0-tags": 0, "node0-index": 1, "node1-data": 2, "node2-data": 2}
    return awkward(form, 2, buffers, np.array(tags, "i1").tobytes(), np.array(index, "i8").tobytes(), bytes(64))


cases(
    "awkward offsets",
    {
        "beyond": [0, 10**9, 2 * 10**9],
        "negative": [-(10**9), -5, 8],
        "backwards": [0, 8, 4],
        "huge": [0, 2**62, 2**63 - 1],
    },
    lists,
)
cases("awkward index", {"beyond": [2**40, 0], "negative": [-(2**40), 0]}, indexed)
cases("awkward option", {"beyond": [2**40, -1]}, lambda index: indexed(index, "IndexedOptionArray"))
cases(
    "awkward union",
    {"tag": ([0, 9], [0, 0]), "negative tag": ([-1, 0], [0, 0]), "index": ([0, 0], [2**40, 0])},
    lambda both: union(*both),
)
FORMS: dict[str, tuple[Any, Any]] = {
    "regular of nothing": (
        {"class": "RegularArray", "size": 0, "content": {"class": "EmptyArray", "form_key": "node1"}, "form_key": "n"},
        10**12,
    ),
    "regular negative": ({"class": "RegularArray", "size": -1, "content": NUMBERS, "form_key": "n"}, 4),
    "record of nothing": ({"class": "RecordArray", "fields": [], "contents": [], "form_key": "n"}, 10**12),
    "unknown": ({"class": "object", "form_key": "n"}, 1),
    "a list": ([], 1),
    "numbers of objects": ({**NUMBERS, "primitive": "object"}, 4),
    "inner shape negative": ({**NUMBERS, "inner_shape": [-1]}, 4),
    "text of numbers": ({**NUMBERS, "parameters": {"__array__": "string"}}, 4),
    "length infinite": (NUMBERS, float("inf")),
    "length negative": (NUMBERS, -4),
    "too few bytes": (NUMBERS, 1000),
}
cases("awkward form", FORMS, lambda both: awkward(both[0], both[1], {"node1-data": 0}, bytes(64)))


@case
def awkward_deep() -> bytes:
    text = '{"class":"UnmaskedArray","form_key":"n","content":' * 3000 + json.dumps(NUMBERS) + "}" * 3000
    head = f'{{"tree":{{"codec":"awkward","form":{text},"length":1}},"frames":[]}}'.encode()
    return len(head).to_bytes(8, "little") + head


cases(
    "behavior",
    {
        "of any module": "antigravity:behavior",
        "that is a module": "coffea.nanoevents.methods.vector:behavior_of_nothing",
        "that is a path": "../../evil:behavior",
    },
    lambda name: awkward(
        NUMBERS, 1, {"node1-data": 0}, bytes(64), behavior={"name": name, "itself": False, "added": None}
    ),
)


@craft
def pickle_in_a_behavior(scene: Scene) -> None:
    """A behavior that was added is a pickle."""
    inner = {"codec": "pickle", "body": 1, "buffers": [], "version": 2}
    behavior = {"name": "", "itself": False, "added": inner}
    scene.entry(awkward(NUMBERS, 1, {"node1-data": 0}, bytes(64), pickled(scene), behavior=behavior))
