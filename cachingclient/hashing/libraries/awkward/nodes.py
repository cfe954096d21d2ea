"""The parts of awkward layouts, without touching anything that is still to be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import awkward as ak
import numpy as np

_BUFFERS = {
    "NumpyArray": ("_data",),
    "ListArray": ("_starts", "_stops"),
    "ListOffsetArray": ("_offsets",),
    "IndexedArray": ("_index",),
    "IndexedOptionArray": ("_index",),
    "ByteMaskedArray": ("_mask",),
    "BitMaskedArray": ("_mask",),
    "UnionArray": ("_tags", "_index"),
}


def own_buffers(node: Any) -> Iterator[Any]:
    for name in _BUFFERS.get(type(node).__name__, ()):
        buffer = getattr(node, name)
        yield buffer.data if isinstance(buffer, ak.index.Index) else buffer


def children_of(node: Any) -> list[Any]:
    if hasattr(node, "_contents"):
        return list(node._contents)
    return [node._content] if hasattr(node, "_content") else []


def buffers_of(node: Any) -> Iterator[Any]:
    """Yield every buffer of a layout, without touching any."""
    yield from own_buffers(node)
    for content in children_of(node):
        yield from buffers_of(content)


def is_numbers(buffer: Any) -> bool:
    """Whether a buffer is an array whose identity is that of its bytes: no texts, objects, fields or padding."""
    return type(buffer) is np.ndarray and buffer.dtype.kind in "biufcmM" and buffer.dtype.char not in "gG"


def layout_nodes(node: Any) -> Iterator[Any]:
    """Yield a layout and every layout below it."""
    yield node
    for content in children_of(node):
        yield from layout_nodes(content)
