"""Awkward Arrays as their buffers.

Arrays are packed first, so a selection does not drag along what it was selected from. Their class comes from their
behavior, which is kept too. Those of another class, as a globally registered behavior or a user's subclass gives it,
are pickled: their type comes from code that need not be there when they are loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak
import xxhash

from cachingclient.storage.codecs._behavior import decode_behavior, encode_behavior

NAME = "awkward"
VERSION = 2
LIBRARIES = ("awkward",)


def encode(value: Any, writer: Any) -> dict[str, Any] | None:
    """Describe an Array or a Record; virtual ones are read in a copy."""
    if not isinstance(value, (ak.Array, ak.Record)) or ak.backend(value) != "cpu" or not _has_class_of_behavior(value):
        return None
    is_record = isinstance(value, ak.Record)
    layout = value.layout.array[value.layout.at : value.layout.at + 1] if is_record else value.layout
    packed = ak.to_packed(ak.materialize(layout, highlevel=False), highlevel=False)
    form, length, buffers = ak.to_buffers(packed, backend="cpu")
    return {
        "form": form.to_dict(verbose=False),
        "length": length,
        "record": is_record,
        "buffers": _frames(buffers, writer),
        # keys with an @ are transient by awkward's own rule
        "attrs": writer.encode({k: v for k, v in value.attrs.items() if not k.startswith("@")}),
        "behavior": encode_behavior(value.behavior, writer),
    }


def decode(node: dict[str, Any], reader: Any) -> Any:
    """Lay the array on its frames."""
    buffers = {name: reader.frame(number) for name, number in node["buffers"].items()}
    form = ak.forms.from_dict(node["form"])
    behavior = decode_behavior(node.get("behavior"), reader)
    array = ak.from_buffers(form, node["length"], buffers, behavior=behavior)
    value = array[0] if node["record"] else array
    attrs = reader.decode(node["attrs"])
    if attrs:
        value.attrs = attrs
    return value


def _has_class_of_behavior(value: Any) -> bool:
    """Whether nothing but its own behavior gives a value its class: only then it has that class again when loaded."""
    kind = type(value)
    return kind in (ak.Array, ak.Record) or any(kind is given for given in (value.behavior or {}).values())


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
