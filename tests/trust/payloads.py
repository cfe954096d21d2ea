"""Crafts of payloads that are only data: forms, offsets, shapes and sizes that can't be so, and bombs."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.trust.crafting import Scene, craft, payload, pickled

Make = Callable[[], bytes]
PAYLOADS: dict[str, Make] = {}
LENGTHS = {"codec": "containers", "dict": []}


def case(function: Make) -> Make:
    """List a payload by its name."""
    PAYLOADS[function.__name__] = function
    return function


def cases(name: str, variants: dict[str, Any], make: Callable[[Any], bytes]) -> None:
    """List a payload for each of these variants."""
    for variant, value in variants.items():
        PAYLOADS[f"{name} {variant}"] = lambda value=value: make(value)  # type: ignore[misc]


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


def stream(table: Any, options: Any = None) -> bytearray:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write(table)
    return bytearray(sink.getvalue())


def arrow(data: bytes) -> bytes:
    return payload({"codec": "arrow", "shape": "Table", "frame": 0}, bytes(data))


def texts(table: Any, old: tuple[int, ...], new: tuple[int, ...], letters: str) -> bytearray:
    data = stream(table)
    for letter in letters:
        before, after = struct.pack(f"<{len(old)}{letter}", *old), struct.pack(f"<{len(new)}{letter}", *new)
        place = data.rfind(before)
        if place > 0:
            data[place : place + len(before)] = after
    return data


@case
def arrow_offsets_beyond() -> bytes:
    import pyarrow as pa

    table = pa.table({"s": pa.array(["aaaaaaaa", "bbbbbbbb", "cccccccc"])})
    return arrow(texts(table, (0, 8, 16, 24), (0, 2**30, 2**30 + 100, 2**30 + 2000), "i"))


@case
def arrow_words_beyond() -> bytes:
    import pyarrow as pa

    table = pa.table({"s": pa.array(["a", "b", "a", "b"]).dictionary_encode()})
    return arrow(texts(table, (0, 1, 0, 1), (2**30, 2**30, -5, 2**29), "i"))


@case
def arrow_compressed() -> bytes:
    import pyarrow as pa

    options = pa.ipc.IpcWriteOptions(compression="zstd")
    return arrow(stream(pa.table({"s": pa.array(np.zeros(50_000_000, "i1"))}), options))


@case
def arrow_of_very_many_rows_of_nothing() -> bytes:
    import pyarrow as pa

    return arrow(stream(pa.table({"s": pa.nulls(2**30)})))


@case
def arrow_of_runs() -> bytes:
    import pyarrow as pa

    return arrow(stream(pa.table({"s": pa.RunEndEncodedArray.from_arrays([2**30], [1])})))


@case
def arrow_cut() -> bytes:
    import pyarrow as pa

    data = stream(pa.table({"s": pa.array(range(1000))}))
    return arrow(data[: len(data) // 2])


@case
def pandas_offsets_beyond() -> bytes:
    import pandas as pd
    import pyarrow as pa

    table = pa.Table.from_pandas(pd.DataFrame({"s": ["aaaaaaaa", "bbbbbbbb", "cccccccc"]}))
    data = texts(table, (0, 8, 16, 24), (0, 2**30, 2**30 + 100, 2**30 + 2000), "qi")
    return payload({"codec": "pandas", "series": False, "form": "arrow", "attrs": LENGTHS, "frame": 0}, bytes(data))


@case
def pandas_range_of_very_many() -> bytes:
    nothing = {"codec": "containers", "plain": None}
    index = {"range": [0, 10**15, 1], "name": nothing}
    frame = {"index": index, "columns": [], "columns_name": nothing, "arrays": []}
    return payload({"codec": "pandas", "series": False, "form": "arrays", "attrs": LENGTHS, "frame": frame})


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


@craft
def pickle_in_a_behavior(scene: Scene) -> None:
    """A behavior that was added is a pickle."""
    inner = {"codec": "pickle", "body": 1, "buffers": [], "version": 2}
    behavior = {"name": "", "itself": False, "added": inner}
    scene.entry(awkward(NUMBERS, 1, {"node1-data": 0}, bytes(64), pickled(scene), behavior=behavior))
