"""Crafts of payloads that are only data: forms, offsets, shapes and sizes that can't be so, and bombs."""

from __future__ import annotations

import base64
from typing import Any

from tests.trust import awkward_payloads, table_payloads
from tests.trust.crafting import Scene, craft, payload, pickled
from tests.trust.listed_payloads import PAYLOADS, case, cases

__all__ = ["PAYLOADS"]

LISTED = (awkward_payloads, table_payloads)  # imported for the payloads that they list


def array(dtype: Any, shape: Any, frame: bytes, order: Any = "C") -> bytes:
    return payload({"codec": "numpy", "dtype": dtype, "shape": shape, "order": order, "frame": 0}, frame)


OBJECT_FIELD = {"names": ["a"], "formats": ["O"], "offsets": [0], "itemsize": 8, "aligned": False}
OVERLAP = {"names": ["a", "b"], "formats": ["O", "<i8"], "offsets": [0, 0], "itemsize": 8, "aligned": False}
BEYOND = {"names": ["a"], "formats": ["<i8"], "offsets": [1 << 20], "itemsize": 8, "aligned": False}
TYPES = {
    "of objects": "O",
    "of texts of any length": "T",
    "of a field of objects": OBJECT_FIELD,
    "of fields over each other": OVERLAP,
    "of a field beyond its item": BEYOND,
    "of objects in a list": "O,O",
    "of objects in an array": {"base": "O", "shape": [1]},
    "of no size": "V0",
    "of half a billion items": "(500000000,)f8",
    "that is a number": 7,
    "that is none": None,
    "that is code": "__import__('os').system('true')",
}
SHAPES = {
    "negative": [-1],
    "twice negative": [-2, -2],
    "huge": [2**62],
    "that overflows": [2**32, 2**32],
    "of nothing and much": [0, 2**62],
    "of text": ["4"],
    "of infinity": [float("inf")],
    "of too many dimensions": [1] * 200,
    "that is text": "44",
    "too large by one": [5],
    "too small by one": [3],
}
cases("array", TYPES, lambda dtype: array(dtype, [4], b"A" * 32))
cases("shape", SHAPES, lambda shape: array("<i8", shape, b"A" * 32))
cases("scalar", TYPES, lambda dtype: payload({"codec": "numpy", "dtype": dtype, "scalar": _base64(b"A" * 8)}))
cases("dtype", TYPES, lambda dtype: payload({"codec": "numpy", "the_dtype": dtype}))
cases(
    "frame",
    {"negative": -1, "beyond": 7, "text": "0", "none": None, "true": True},
    lambda number: payload({"codec": "numpy", "dtype": "<i8", "shape": [4], "order": "C", "frame": number}, b"A" * 32),
)
cases(
    "frames of lengths",
    {"negative": [-8], "huge": [2**62], "text": ["8"], "infinite": [float("inf")], "many": [0] * 1_000_000},
    lambda lengths: payload({"codec": "containers", "bytes": 0}, lengths=lengths),
)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@case
def masked_objects() -> bytes:
    data = {"dtype": "O", "shape": [1], "order": "C", "frame": 0}
    return payload({"codec": "numpy", "masked": data, "mask": None, "fill": None, "hard": False}, b"B" * 8)


@case
def mask_of_another_size() -> bytes:
    data = {"dtype": "<i8", "shape": [4], "order": "C", "frame": 0}
    mask = {"dtype": "|b1", "shape": [32], "order": "C", "frame": 0}
    return payload({"codec": "numpy", "masked": data, "mask": mask, "fill": None, "hard": False}, b"\1" * 32)


@case
def truths_that_are_neither() -> bytes:
    return array("|b1", [32], b"\x7f" * 32)


@case
def characters_that_are_none() -> bytes:
    return array("<U4", [2], b"\xff" * 32)


def histogram(**axis: Any) -> bytes:
    from boost_histogram import Histogram
    from boost_histogram.axis import Regular
    from boost_histogram.serialization import to_uhi

    from cachingclient.storage.codecs.framing import Writer

    uhi = to_uhi(Histogram(Regular(10, 0, 1)))
    uhi["axes"][0].update(axis)
    writer = Writer()
    node = writer.encode(uhi)
    frames = [b"".join(map(bytes, parts)) for parts in writer.frames]
    tree = {"codec": "hist", "family": "boost_histogram", "class": "Histogram", "variance_known": True, "uhi": node}
    return payload(tree, *frames)


cases(
    "histogram",
    {
        "of 10^10 bins": {"bins": 10**10},
        "of 2x10^8 bins": {"bins": 2 * 10**8},
        "of negative bins": {"bins": -10},
        "of infinite bins": {"bins": float("inf")},
        "of an unknown axis": {"type": "evil"},
        "of ends that are many": {"overflow": 10**9},
        "with notes of the library's": {"metadata": {"_hist": 1}},
    },
    lambda axis: histogram(**axis),
)


@case
def containers_that_double() -> bytes:
    node: Any = {"codec": "containers", "list": [1] * 10, "id": 0}
    for number in range(1, 60):
        node = {"codec": "containers", "list": [node, {"same": number - 1}], "id": number}
    return payload(node)


@case
def tuples_that_double_in_a_set() -> bytes:
    node: Any = {"codec": "containers", "tuple": [1] * 10, "id": 0}
    for number in range(1, 40):
        node = {"codec": "containers", "tuple": [node, {"same": number - 1}], "id": number}
    return payload({"codec": "containers", "set": [node]})


@case
def one_frame_very_often() -> bytes:
    return payload({"codec": "containers", "list": [{"codec": "containers", "bytes": 0}] * 6000}, b"x" * 1_000_000)


@case
def containers_deep() -> bytes:
    text = b'{"codec":"containers","list":[' * 100_000 + b"]}" * 100_000
    head = b'{"tree":' + text + b',"frames":[]}'
    return len(head).to_bytes(8, "little") + head


HEADS = {
    "longer than all": (2**62).to_bytes(8, "little"),
    "cut": b"\0\0",
    "empty": b"",
    "no JSON": (4).to_bytes(8, "little") + b"abcd",
    "a list": (2).to_bytes(8, "little") + b"[]",
    "no tree": (2).to_bytes(8, "little") + b"{}",
    "a digit of 5,000": (5000).to_bytes(8, "little") + b"9" * 5000,
}
TREES: dict[str, Any] = {
    "none": None,
    "a list": [],
    "of an unknown codec": {"codec": "../../evil"},
    "of a codec that is a list": {"codec": []},
    "of what was not seen": {"same": 7},
    "a set of lists": {"codec": "containers", "set": [{"codec": "containers", "list": []}]},
    "of a class": {"codec": "objects", "class": ["subprocess", "Popen", ""], "attributes": []},
    "of a module to import": {"codec": "objects", "class": ["antigravity", "x", ""], "attributes": []},
    "of a class of the script": {"codec": "objects", "class": ["", "Scene", "0" * 32], "attributes": []},
    "base64 of nothing": {"codec": "containers", "base64": "é"},
    "a complex of texts": {"codec": "containers", "complex": ["__import__('os')"]},
}
cases("head", HEADS, lambda data: data)
cases("tree", TREES, payload)


@craft
def description_denies_its_pickle(scene: Scene) -> None:
    """A payload that is a pickle is said to be plain."""
    tree = {"codec": "pickle", "body": 0, "buffers": [], "version": 2}
    scene.entry(payload(tree, pickled(scene)))


@craft
def pickle_within_a_list(scene: Scene) -> None:
    """A pickle is one item of many."""
    inner = {"codec": "pickle", "body": 0, "buffers": [], "version": 2}
    scene.entry(payload({"codec": "containers", "list": [1, inner]}, pickled(scene)))
