"""Arrow streams: nothing compressed, no types whose values are elsewhere, and every offset within its buffer."""

from __future__ import annotations

import struct
from typing import Any

import pyarrow as pa

from cachingclient.storage.checks.budget import Budget
from cachingclient.storage.limits import UnsafeError

_HEADER_TYPE, _HEADER = 1, 2  # fields of a Message, by Arrow's schema of its messages
_DICTIONARY, _RECORDS = 2, 3  # types of headers
_DATA, _COMPRESSION = 1, 3  # the records of a dictionary, and the compression of records
_SIMPLE = (
    *("is_null", "is_boolean", "is_integer", "is_floating", "is_decimal", "is_temporal", "is_string"),
    *("is_large_string", "is_binary", "is_large_binary", "is_fixed_size_binary"),
)
_NESTED = ("is_list", "is_large_list", "is_fixed_size_list", "is_struct", "is_map")


def check_stream(frame: memoryview) -> None:
    """Check the messages of a stream before they are read. Raises UnsafeError."""
    for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(frame)):
        if _is_compressed(bytes(message.metadata)):
            raise UnsafeError("an Arrow table is compressed, so nothing bounds what it takes")


def check_table(table: Any, frame: memoryview, budget: Budget) -> Any:
    """Return a table whose every value lies within its buffers."""
    for field in table.schema:
        if not is_plain(field.type):
            raise UnsafeError(f"an Arrow table has a column of type {field.type}")
    if table.num_rows > max(8 * frame.nbytes, budget.limits.count):
        raise UnsafeError(f"an Arrow table has {table.num_rows:,} rows in {frame.nbytes:,} bytes")
    try:
        table.validate(full=True)
    except pa.ArrowInvalid as error:
        raise UnsafeError(f"an Arrow table is not sound: {error}") from None
    return table


def is_plain(kind: Any) -> bool:
    """Whether the values of a type, and of all inside it, lie in buffers of their column alone."""
    if isinstance(kind, pa.BaseExtensionType):
        return False
    if pa.types.is_dictionary(kind):
        return is_plain(kind.index_type) and is_plain(kind.value_type)
    if any(getattr(pa.types, name)(kind) for name in _NESTED):
        return all(is_plain(kind.field(number).type) for number in range(kind.num_fields))
    return any(getattr(pa.types, name)(kind) for name in _SIMPLE)


def _is_compressed(message: bytes) -> bool:
    """Whether a message's records are compressed, by the flat buffer that it is."""
    root = struct.unpack_from("<I", message)[0]
    kind = _field(message, root, _HEADER_TYPE)
    header = _table(message, root, _HEADER)
    if kind is None or header is None:
        return False
    number = message[kind]
    records = _table(message, header, _DATA) if number == _DICTIONARY else header if number == _RECORDS else None
    return records is not None and _field(message, records, _COMPRESSION) is not None


def _field(message: bytes, table: int, number: int) -> int | None:
    """Return where a field of a table lies, or None if it has none."""
    entries = table - struct.unpack_from("<i", message, table)[0]
    place = 4 + 2 * number
    if place >= struct.unpack_from("<H", message, entries)[0]:
        return None
    offset: int = struct.unpack_from("<H", message, entries + place)[0]
    return table + offset if offset else None


def _table(message: bytes, table: int, number: int) -> int | None:
    place = _field(message, table, number)
    return None if place is None else place + int(struct.unpack_from("<I", message, place)[0])
