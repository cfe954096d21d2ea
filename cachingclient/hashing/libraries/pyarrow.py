"""Arrow: tables, batches, arrays and scalars by what they hold.

Notes
-----
Chunks, offsets into a larger buffer, what lies under a null, and a mask of validity without a null in it
are matters of how an array came to be; none of them counts. The order of a dictionary's values does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cachingclient.hashing.digest import digest, frame
from cachingclient.hashing.libraries.stdlib import refuse
from cachingclient.hashing.libraries.strings import encode_files_among
from cachingclient.hashing.registry import register_hasher
from cachingclient.hashing.scalars import encode_int

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk


@register_hasher(pa.Table)
@register_hasher(pa.RecordBatch)
def encode_table(table: Any, walk: Walk) -> bytes:
    """Return the encoding of a table by its schema, metadata included, and its columns."""
    schema = digest(memoryview(table.schema.serialize()))
    return frame(b"(", [schema, encode_int(table.num_rows), *(encode_arrow(column, walk) for column in table.columns)])


@register_hasher(pa.Array, subclasses=True)
@register_hasher(pa.ChunkedArray)
def encode_array(array: Any, walk: Walk) -> bytes:
    """Return the encoding of an array by its type and content."""
    return frame(b"(", [encode_type(array.type), encode_arrow(array, walk)])


@register_hasher(pa.Scalar, subclasses=True)
def encode_scalar(scalar: Any, walk: Walk) -> bytes:
    """Return the encoding of a scalar as that of an array of one element."""
    if isinstance(scalar, pa.ExtensionScalar):
        return frame(b"(", [encode_type(scalar.type), walk.encode(scalar.value)])
    return encode_array(pa.array([scalar.as_py()], type=scalar.type), walk)


@register_hasher(pa.DataType, subclasses=True)
def encode_data_type(kind: pa.DataType, walk: Walk) -> bytes:
    """Return the encoding of a data type."""
    return encode_type(kind)


@register_hasher(pa.Field)
def encode_field(field: pa.Field, walk: Walk) -> bytes:
    """Return the encoding of a field: name, type, nullability and metadata."""
    return digest(memoryview(pa.schema([field]).serialize()))


@register_hasher(pa.Schema)
def encode_schema(schema: pa.Schema, walk: Walk) -> bytes:
    """Return the encoding of a schema with its metadata."""
    return digest(memoryview(schema.serialize()))


@register_hasher(pa.Buffer, subclasses=True)
def encode_buffer(buffer: pa.Buffer, walk: Walk) -> bytes:
    """Return the encoding of a buffer by its bytes."""
    return digest(memoryview(buffer))


for _name, _what in {
    "pyarrow.lib.NativeFile": "an open Arrow file",
    "pyarrow.lib.RecordBatchReader": "a reader of Arrow batches",
    "pyarrow._parquet.ParquetReader": "an open Parquet file",
    "pyarrow.parquet.core.ParquetFile": "an open Parquet file",
}.items():
    refuse(_name, _what)


def encode_type(kind: pa.DataType) -> bytes:
    """Return the digest of a data type as Arrow writes it into files."""
    return digest(memoryview(pa.schema([pa.field("", kind)]).serialize()))


def encode_arrow(array: Any, walk: Walk) -> bytes:
    """Return the encoding of the elements of an array, at most 255 bytes."""
    if isinstance(array, pa.ChunkedArray):
        array = _in_one_piece(array)
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    head = [encode_int(len(array)), b""]
    if array.null_count:
        head[1] = digest(np.packbits(array.is_valid().to_numpy(zero_copy_only=False)).data)
    return frame(b"(", [*head, *_content(array, walk)])


def _in_one_piece(column: Any) -> Any:
    if column.num_chunks != 1:
        column = column.unify_dictionaries().combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # one chunk from the start, or a type that stays in chunks
        return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
    return column


def _content(array: Any, walk: Walk) -> list[bytes]:
    kind = array.type
    for matches, encode in _BY_TYPE:
        if matches(kind):
            return encode(array, walk)
    if pa.types.is_primitive(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_decimal(kind):
        return [_fixed_width(array)]
    return [walk.encode(array.to_pylist())]


def _fixed_width(array: Any) -> bytes:
    width = array.type.bit_width // 8
    if array.null_count:
        array = _without_nulls(array)
    start = array.offset * width
    return digest(memoryview(array.buffers()[1])[start : start + len(array) * width])


def _without_nulls(array: Any) -> Any:
    """Return a fixed-width array with zeros instead of nulls, whose bytes then mean something."""
    width = array.type.bit_width // 8
    data = np.frombuffer(array.buffers()[1], np.uint8).copy()
    rows = data[array.offset * width : (array.offset + len(array)) * width].reshape(len(array), width)
    rows[~array.is_valid().to_numpy(zero_copy_only=False)] = 0
    return pa.Array.from_buffers(array.type, len(array), [None, pa.py_buffer(rows.tobytes())])


def _bools(array: Any, walk: Walk) -> list[bytes]:
    values = pc.fill_null(array, False) if array.null_count else array
    return [digest(np.packbits(values.to_numpy(zero_copy_only=False)).data)]


def _binary(array: Any, walk: Walk) -> list[bytes]:
    large = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    if array.null_count:
        array = pc.fill_null(array, pa.scalar("" if pa.types.is_string(array.type) else b"").cast(array.type))
    if not len(array):
        return []
    bounds = np.frombuffer(array.buffers()[1], np.int64 if large else np.int32)
    bounds = bounds[array.offset : array.offset + len(array) + 1]
    lengths = np.diff(bounds).astype(np.int64)
    data = array.buffers()[2]
    content = memoryview(data)[bounds[0] : bounds[-1]] if data is not None else b""
    return [digest(lengths.data), digest(content), _files(array, walk)]


def _files(array: Any, walk: Walk) -> bytes:
    """Return the encodings of those texts that name files."""
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        return b""
    candidates = pc.unique(array.filter(pc.match_substring_regex(array, "[./]")))
    return encode_files_among(candidates.to_pylist(), walk)


def _views(array: Any, walk: Walk) -> list[bytes]:
    return _binary(array.cast(pa.large_string() if array.type == pa.string_view() else pa.large_binary()), walk)


def _lists(array: Any, walk: Walk) -> list[bytes]:
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return [digest(lengths.data), encode_arrow(array.flatten(), walk)]


def _maps(array: Any, walk: Walk) -> list[bytes]:
    return _lists(array.cast(pa.list_(pa.struct([array.type.key_field, array.type.item_field]))), walk)


def _structs(array: Any, walk: Walk) -> list[bytes]:
    return [encode_arrow(field, walk) for field in array.flatten()]


def _dictionaries(array: Any, walk: Walk) -> list[bytes]:
    return [encode_arrow(array.indices, walk), encode_arrow(array.dictionary, walk)]


_BY_TYPE: tuple[tuple[Callable[[Any], bool], Callable[[Any, Walk], list[bytes]]], ...] = (
    (pa.types.is_null, lambda array, walk: []),
    (pa.types.is_boolean, _bools),
    (pa.types.is_string, _binary),
    (pa.types.is_large_string, _binary),
    (lambda kind: kind in (pa.binary(), pa.large_binary()), _binary),
    (lambda kind: kind in (pa.string_view(), pa.binary_view()), _views),
    (pa.types.is_map, _maps),
    (lambda kind: pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind), _lists),
    (pa.types.is_struct, _structs),
    (pa.types.is_dictionary, _dictionaries),
    (pa.types.is_run_end_encoded, lambda array, walk: [encode_arrow(pc.run_end_decode(array), walk)]),
)
