"""Awkward Array: arrays by form and content, lazy ones by what will make them.

Notes
-----
Arrays are packed before they are looked at, so offsets into larger buffers don't count. A virtual buffer is
never touched: it counts by its source, also after it was read, as long as nobody has written to it. One that was
read before anybody asked for its identity counts by its content, like the materialised copy of an array.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
from awkward._nplikes.placeholder import PlaceholderArray
from awkward._nplikes.typetracer import TypeTracerArray
from awkward._nplikes.virtual import VirtualNDArray

from cachingclient.hashing.digest import frame
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.libraries.awkward.behavior import encode_behavior
from cachingclient.hashing.libraries.awkward.memo import encoded_before, encoded_now
from cachingclient.hashing.libraries.awkward.nodes import buffers_of, children_of, layout_nodes, own_buffers
from cachingclient.hashing.libraries.awkward.virtual import Reading, reading_of, was_read
from cachingclient.hashing.libraries.numpy import encode_content, encode_dtype
from cachingclient.hashing.libraries.strings import encode_files_among
from cachingclient.hashing.objects import encode_unordered
from cachingclient.hashing.registry import register_hasher
from cachingclient.hashing.scalars import PLAIN, encode_str

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk

_NO_DIGESTS: Mapping[int, bytes] = MappingProxyType({})
UNORDERED_RECORDS: set[str] = set()
"""Names of records whose fields are in an order of chance, because a library took them out of a set."""

_CHOOSING = frozenset({"ListArray", "ListOffsetArray", "IndexedArray", "IndexedOptionArray", "UnionArray"})
_SETTINGS = {
    "RegularArray": ("_size", "_length"),
    "RecordArray": ("_fields", "_length"),
    "ByteMaskedArray": ("_valid_when",),
    "BitMaskedArray": ("_valid_when", "_length", "_lsb_order"),
}


@register_hasher(ak.Array, subclasses=True)
def encode_array(array: Any, walk: Walk) -> bytes:
    """Return the encoding of an array by its layout, behavior and attributes."""
    layout = array.layout
    return frame(
        b"(",
        [
            encode_layout(layout, walk),
            encode_behavior(array, layout_nodes(layout), walk),
            _attributes(array.attrs, walk),
        ],
    )


@register_hasher(ak.Record, subclasses=True)
def encode_record(record: Any, walk: Walk) -> bytes:
    """Return the encoding of a record by the array of that record alone."""
    layout = record.layout
    alone = layout.array[layout.at : layout.at + 1]
    return frame(
        b"(",
        [
            encode_layout(alone, walk),
            encode_behavior(record, layout_nodes(alone), walk),
            _attributes(record.attrs, walk),
        ],
    )


@register_hasher(ak.ArrayBuilder, subclasses=True)
def encode_builder(builder: Any, walk: Walk) -> bytes:
    """Return the encoding of a builder by the array built so far."""
    return encode_array(builder.snapshot(), walk)


@register_hasher(ak.contents.Content, subclasses=True)
def encode_layout(layout: Any, walk: Walk) -> bytes:
    """Return the encoding of a layout: packed, unless something in it is still to be read."""
    known = encoded_before(layout, walk)
    if known is not None:
        return known
    if layout.backend.name in ("cuda", "jax"):
        layout = ak.to_backend(layout, "cpu", highlevel=False)
    if all(_is_at_hand(buffer) for buffer in buffers_of(layout)) and not _is_packed(layout):
        # It may be a small part of large buffers, which are not to be looked at to know it again.
        return _encode_node(layout.to_packed(), walk)
    return encoded_now(layout, walk, _encode_node)


@register_hasher(ak.index.Index, subclasses=True)
def encode_index(index: Any, walk: Walk) -> bytes:
    """Return the encoding of an index by its numbers."""
    return encode_buffer(index.data, walk)


@register_hasher(ak.forms.Form, subclasses=True)
def encode_form(form: Any, walk: Walk) -> bytes:
    """Return the encoding of a form with its keys."""
    return encode_unordered(form.to_dict(), walk)


@register_hasher(VirtualNDArray)
def encode_buffer(buffer: Any, walk: Walk, digests: Mapping[int, bytes] = _NO_DIGESTS) -> bytes:
    """Return the encoding of a buffer: of where it comes from if that is known, else of its content or its digest."""
    if (known := digests.get(id(buffer))) is not None:
        return frame(b"(", [encode_dtype(buffer.dtype, walk), walk.encode(buffer.shape), known])
    if isinstance(buffer, VirtualNDArray):
        if (reading := reading_of(buffer)) is not None:
            return frame(b"(", [b"virtual", encode_dtype(buffer.dtype, walk), _source(reading, walk)])
        buffer = buffer.materialize()
    if isinstance(buffer, (TypeTracerArray, PlaceholderArray)):
        kind = type(buffer).__name__.encode()
        return frame(b"(", [kind, encode_dtype(buffer.dtype, walk), encode_str(repr(buffer._shape))])
    values = np.asarray(buffer)
    return frame(b"(", [encode_dtype(values.dtype, walk), walk.encode(values.shape), encode_content(values, walk)])


def _encode_node(node: Any, walk: Walk, digests: Mapping[int, bytes] = _NO_DIGESTS, *, chosen: bool = False) -> bytes:
    """Return the encoding of one level of a layout and all below it.

    Below a list its offsets choose what can be reached: the length of what lies there does not count,
    and is not known before somebody reads.
    """
    kind = type(node).__name__
    parts = [encode_str(kind), encode_unordered(node.parameters, walk)]
    unordered = kind == "RecordArray" and node.parameter("__record__") in UNORDERED_RECORDS
    for name in _SETTINGS.get(kind, ()):
        if name == "_fields" and unordered:
            parts.append(walk.encode(sorted(node._fields)))
        elif name != "_length" or not chosen:
            value = getattr(node, name)
            parts.append(walk.encode(value) if type(value) in PLAIN or type(value) is list else encode_str(repr(value)))
    parts += [encode_buffer(buffer, walk, digests) for buffer in own_buffers(node)]
    chosen = chosen or kind in _CHOOSING
    children = children_of(node)
    if unordered:
        children = [content for _, content in sorted(zip(node._fields, children, strict=True), key=itemgetter(0))]
    parts += [_encode_node(content, walk, digests, chosen=chosen) for content in children]
    if node.parameter("__array__") == "string" and _is_at_hand(node._offsets if kind == "ListOffsetArray" else None):
        parts.append(_files_named(node, walk))
    return frame(b"(", parts)


def _is_packed(node: Any) -> bool:
    """Whether packing would give the same layout: it copies offsets even then."""
    kind = type(node).__name__
    if kind == "NumpyArray":
        values = np.asarray(node.data)
        return values.ndim == 1 and bool(values.flags.c_contiguous)
    if kind == "ListOffsetArray":
        offsets = np.asarray(node.offsets.data)
        exact = offsets.dtype == np.int64 and offsets[0] == 0 and offsets[-1] == len(node.content)
    elif kind == "RegularArray":
        exact = len(node.content) == node.size * len(node)
    else:
        exact = kind == "RecordArray" and all(len(content) == len(node) for content in node.contents)
    return bool(exact) and all(_is_packed(content) for content in children_of(node))


def _is_at_hand(buffer: Any) -> bool:
    if isinstance(buffer, ak.index.Index):
        buffer = buffer.data
    if type(buffer) is np.ndarray:
        return True
    if isinstance(buffer, VirtualNDArray):
        return bool(buffer.is_materialized) and not was_read(buffer)
    return buffer is not None and not isinstance(buffer, (TypeTracerArray, PlaceholderArray))


def _files_named(node: Any, walk: Walk) -> bytes:
    """Return the encodings of those texts of a column that name files."""
    content = node._content
    if not _is_at_hand(content._data):
        return b""
    letters = np.asarray(content._data)
    if not ((letters == ord(".")) | (letters == ord("/"))).any():
        return b""
    return encode_files_among(set(ak.to_list(ak.flatten(ak.Array(node), axis=None))), walk)


def _source(reading: Reading, walk: Walk) -> bytes:
    """Return the encoding of what fills a virtual buffer.

    The buffer's key is not enough: a slice of a virtual buffer has the key of the whole.
    """
    if reading.noted is not None and (known := walk.again(reading.noted)) is not None:
        return known
    generator: Any = reading
    while (inner := _wrapped(generator)) is not None:
        generator = inner
    raw = getattr(generator, "__awkward_raw_generator__", None)
    if raw is None and str(getattr(generator, "__module__", "")).startswith("awkward."):
        return frame(b"(", _derived(generator, walk))
    reader = generator if raw is None else raw
    for encode in _readers:
        if (encoded := encode(reader, walk)) is not None:
            # A library's own reader gives the same as long as its file does: it is described once.
            reading.noted = walk.note(functools.partial(encode, reader))
            return encoded
    walk.may_change = True
    try:
        return frame(b"(", [encode_str(reading.shape), encode_str(reading.key), walk.encode(reader)])
    except Unidentifiable as error:
        raise Unidentifiable(f"a virtual array that is not read yet, made by {error.reason}") from error


def _wrapped(generator: Any) -> Any:
    """Return what a conversion, a copy or a reading is wrapped around, None if this is none of them."""
    if isinstance(generator, Reading):
        return generator.generator
    name = _WRAPPERS.get(getattr(generator, "__qualname__", ""))
    return _closure(generator)[name] if name is not None else None


def _closure(function: Any) -> dict[str, Any]:
    cells = function.__closure__ or ()
    return {name: cell.cell_contents for name, cell in zip(function.__code__.co_freevars, cells, strict=True)}


def _derived(generator: Any, walk: Walk) -> Iterator[bytes]:
    """Yield the encodings of how awkward derives one virtual buffer from others: a slice, a view, a new shape."""
    yield walk.library(generator.__module__, f"{generator.__qualname__}:{generator.__code__.co_firstlineno}")
    for name, value in sorted(_closure(generator).items()):
        if isinstance(value, VirtualNDArray):
            yield encode_buffer(value, walk)
        elif type(value).__module__.startswith("awkward._nplikes"):
            yield encode_str(type(value).__qualname__)
        elif callable(value) and str(getattr(value, "__module__", "")).startswith("awkward."):
            yield frame(b"(", _derived(value, walk))
        elif name != "memo":
            walk.may_change = walk.may_change or not isinstance(value, _FIXED)
            yield walk.encode(value)


_FIXED = (type(None), bool, int, float, str, tuple, slice, type, np.dtype)
"""What awkward derives buffers by, beside other buffers: none of it can be written to."""
_WRAPPERS = {
    "_lazy_asarray.<locals>.wrapped_generator": "generator",
    "VirtualNDArray.__deepcopy__.<locals>.<lambda>": "current_generator",
}
_readers: list[Callable[[Any, Walk], bytes | None]] = []


def register_reader(encode: Callable[[Any, Walk], bytes | None]) -> Callable[[Any, Walk], bytes | None]:
    """Register what identifies the functions by which a library fills virtual buffers; None for those of others."""
    _readers.append(encode)
    return encode


def _attributes(attrs: Mapping[str, Any] | None, walk: Walk) -> bytes:
    """Return the encoding of an array's attributes; those marked as transient are links to where it came from."""
    kept = {name: value for name, value in (attrs or {}).items() if not name.startswith("@")}
    parts = [encode_unordered(kept, walk)]
    for name in ("@events_factory", "@original_array"):
        if attrs and name in attrs and hasattr(attrs[name], "_partition_key"):
            # Cross-references follow it to the other collections of the same events.
            parts.append(walk.encode(attrs[name]))
    return frame(b"(", parts)
