"""Awkward Arrays as their buffers.

Arrays are packed first, so a selection does not drag along what it was selected from. Their class comes from their
behavior, which is kept too, or from the one that vector registers for all arrays, which loading does too. Those of
another class, as a user's subclass or another registered behavior gives it, are pickled: their type comes from code
that need not be there when they are loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak
import numpy as np
import xxhash

from cachingclient.storage.checks.awkward import Layout
from cachingclient.storage.codecs._behavior import decode_behavior, encode_behavior
from cachingclient.storage.limits import UnsafeError

NAME = "awkward"
VERSION = 2
LIBRARIES = ("awkward",)


def encode(value: Any, writer: Any) -> dict[str, Any] | None:
    """Describe an Array or a Record; virtual ones are read in a copy."""
    if not hasattr(ak, "contents"):
        return None  # awkward 1, whose arrays are pickled
    if not isinstance(value, (ak.Array, ak.Record)) or ak.backend(value) != "cpu":
        return None
    registered = "" if _has_class_of_behavior(value) else _class_of_vector(value)
    if registered is None:
        return None
    is_record = isinstance(value, ak.Record)
    layout = value.layout.array[value.layout.at : value.layout.at + 1] if is_record else value.layout
    form, length, buffers = ak.to_buffers(_packed(layout), backend="cpu")
    return {
        "form": form.to_dict(verbose=False),
        "length": length,
        "record": is_record,
        "buffers": _frames(buffers, writer),
        # keys with an @ are transient by awkward's own rule
        "attrs": writer.encode({k: v for k, v in value.attrs.items() if not k.startswith("@")}),
        "behavior": encode_behavior(value.behavior, writer),
        **({"class": registered} if registered else {}),
    }


def decode(node: dict[str, Any], reader: Any) -> Any:
    """Lay the array on its frames."""
    buffers = {name: reader.frame(number) for name, number in node["buffers"].items()}
    if reader.data_only:
        Layout(buffers, reader.budget).check(node["form"], node["length"])
    if node["record"] and node["length"] != 1:
        raise UnsafeError("a record is not one")
    form = ak.forms.from_dict(node["form"])
    behavior = decode_behavior(node.get("behavior"), reader)
    value = _built(form, node, buffers, behavior)
    registered = node.get("class", "")
    if registered and _class_name(value) != registered and registered.startswith("vector."):
        import vector

        vector.register_awkward()  # as the process did that made it
        value = _built(form, node, buffers, behavior)
    if registered and _class_name(value) != registered:
        raise ValueError(f"nothing gives it the class {registered} here")
    attrs = reader.decode(node["attrs"])
    if attrs:
        value.attrs = attrs
    return value


def _built(form: Any, node: dict[str, Any], buffers: Mapping[str, Any], behavior: Any) -> Any:
    array = ak.from_buffers(form, node["length"], buffers, behavior=behavior)
    return array[0] if node["record"] else array


def _class_of_vector(value: Any) -> str | None:
    """The class that vector's registered behavior gives a value, by name; None if its class is from elsewhere."""
    kind = type(value)
    return _class_name(value) if kind.__module__.startswith("vector.") and kind in ak.behavior.values() else None


def _class_name(value: Any) -> str:
    return f"{type(value).__module__}:{type(value).__qualname__}"


def _has_class_of_behavior(value: Any) -> bool:
    """Whether nothing but its own behavior gives a value its class: only then it has that class again when loaded."""
    kind = type(value)
    return kind in (ak.Array, ak.Record) or any(kind is given for given in (value.behavior or {}).values())


def _packed(layout: Any) -> Any:
    """The layout, read, without what can't be reached in it; most results are, and finding out is quick."""
    return layout if _is_packed(layout) else ak.to_packed(ak.materialize(layout, highlevel=False), highlevel=False)


def _is_packed(node: Any) -> bool:
    """Whether a layout is known to be read and packed: packing it would give the same buffers."""
    kind = type(node)
    if kind is ak.contents.NumpyArray:
        values = node.data
        return type(values) is np.ndarray and values.ndim == 1 and bool(values.flags.c_contiguous)
    if kind is ak.contents.ListOffsetArray:
        offsets = node.offsets.data
        if type(offsets) is not np.ndarray or offsets.dtype != np.int64 or not offsets.flags.c_contiguous:
            return False
        return bool(offsets[0] == 0) and _is_packed(node.content) and bool(offsets[-1] == node.content.length)
    if kind is ak.contents.RecordArray:
        return all(_is_packed(content) and content.length == node.length for content in node.contents)
    return False


def _frames(buffers: Mapping[str, Any], writer: Any) -> dict[str, int]:
    """A frame for each buffer; one for all equal offsets, as each column of jets has the same."""
    numbers: dict[str, int] = {}
    offsets: dict[bytes, int] = {}
    for name, buffer in buffers.items():
        flat = buffer.reshape(-1).view("u1")
        if not name.endswith("-offsets"):  # what users can change in place stays its own
            numbers[name] = writer.frame(flat)
            continue
        digest = xxhash.xxh3_128_digest(flat)
        if digest not in offsets:
            offsets[digest] = writer.frame(flat)
        numbers[name] = offsets[digest]
    return numbers
