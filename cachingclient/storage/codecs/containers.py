"""Python's own plain values, and the containers that hold them and values of other codecs, nested.

Only the exact types: a subclass may hold more than its items, so it is pickled.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from cachingclient.storage.limits import UnsafeError

NAME = "containers"
VERSION = 1
LIBRARIES: tuple[str, ...] = ()

INLINE = (type(None), bool, float, str)
SEQUENCES = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
LONGEST_INLINE = 256  # bytes, beyond which they get a frame
MOST_BITS = 4096  # json refuses to read integers of more digits than sys.get_int_max_str_digits


def encode(value: Any, writer: Any) -> dict[str, Any] | None:
    """Describe a plain value or a container."""
    kind = type(value)
    if kind in INLINE or (kind is int and value.bit_length() <= MOST_BITS):
        return {"plain": value}
    if kind is bytes or kind is bytearray:
        if kind is bytes and len(value) <= LONGEST_INLINE:
            return {"base64": b64encode(value).decode()}
        return {kind.__name__: writer.frame(value)}
    if kind is complex:
        return {"complex": [value.real, value.imag]}
    if kind is dict:
        return {"dict": [[_item(k, writer), _item(v, writer)] for k, v in value.items()]}
    name = kind.__name__
    if SEQUENCES.get(name) is kind:
        items = _in_order(value) if kind in (set, frozenset) else value
        return {name: [_item(item, writer) for item in items]}
    return None


def decode(node: dict[str, Any], reader: Any) -> Any:
    """Build the plain value or container."""
    if "plain" in node:
        return node["plain"]
    if "dict" in node:
        reader.budget.count(2 * len(node["dict"]))
        return {_value(k, reader): _value(v, reader) for k, v in node["dict"]}
    if "base64" in node:
        return b64decode(node["base64"])
    if "bytes" in node:
        return bytes(_copied(node["bytes"], reader))
    if "bytearray" in node:
        return bytearray(_copied(node["bytearray"], reader))
    if "complex" in node:
        return complex(*node["complex"])
    name = next(name for name in SEQUENCES if name in node)
    reader.budget.count(len(node[name]))
    return SEQUENCES[name](_value(item, reader) for item in node[name])


def _copied(number: int, reader: Any) -> Any:
    frame = reader.frame(number)
    if reader.data_only and number in reader.copied:
        raise UnsafeError("the bytes of two values are one frame")
    reader.copied.add(number)
    reader.budget.take(frame.nbytes)
    return frame


def _item(value: Any, writer: Any) -> Any:
    kind = type(value)
    if kind in INLINE or (kind is int and value.bit_length() <= MOST_BITS):
        return value
    return writer.encode(value)


def _value(item: Any, reader: Any) -> Any:
    return reader.decode(item) if type(item) is dict else item


def _in_order(items: Any) -> Any:
    try:
        return sorted(items)  # so that equal sets have equal bytes
    except TypeError:
        return list(items)
