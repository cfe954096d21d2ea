"""Awkward Arrays as their buffers.

Arrays are packed first, so a selection does not drag along what it was selected from. Arrays with a behaviour of
their own, or of a class that a registered behaviour gives them, are pickled: their type comes from code.
"""

from __future__ import annotations

import json
from typing import Any

import awkward as ak

NAME = "awkward"
VERSION = 1
LIBRARIES = ("awkward",)


def encode(value: Any, writer: Any) -> dict[str, Any] | None:
    """Describe an Array or a Record of plain class; virtual ones are read in a copy."""
    kind = type(value)
    if kind not in (ak.Array, ak.Record) or value.behavior is not None or ak.backend(value) != "cpu":
        return None
    array = value if kind is ak.Array else ak.Array(value.layout.array[value.layout.at : value.layout.at + 1])
    packed = ak.to_packed(ak.materialize(array))
    form, length, buffers = ak.to_buffers(packed, backend="cpu")
    return {
        "form": json.loads(form.to_json()),
        "length": length,
        "record": kind is ak.Record,
        "buffers": {name: writer.frame(_bytes(buffer)) for name, buffer in buffers.items()},
        # keys with an @ are transient by awkward's own rule
        "attrs": writer.encode({k: v for k, v in value.attrs.items() if not k.startswith("@")}),
    }


def decode(node: dict[str, Any], reader: Any) -> Any:
    """Lay the array on its frames."""
    buffers = {name: reader.frame(number) for name, number in node["buffers"].items()}
    form = ak.forms.from_dict(node["form"])
    array = ak.from_buffers(form, node["length"], buffers)
    value = array[0] if node["record"] else array
    attrs = reader.decode(node["attrs"])
    if attrs:
        value.attrs = attrs
    return value


def _bytes(buffer: Any) -> Any:
    return buffer.reshape(-1).view("u1")
