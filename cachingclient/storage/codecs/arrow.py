"""Arrow tables, batches and arrays through Arrow's own stream format.

The stream is collected as a row of buffers instead of being written into one, so nothing is copied.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from cachingclient.storage.checks.arrow import check_stream, check_table, is_plain

NAME = "arrow"
VERSION = 1
LIBRARIES = ("pyarrow",)


def encode(value: Any, writer: Any) -> dict[str, Any] | None:
    """Describe a Table, RecordBatch, Array or ChunkedArray; other things of Arrow are pickled."""
    kind = type(value)
    if kind is pa.Table or kind is pa.RecordBatch:
        shape, table = kind.__name__, value
    elif kind is pa.ChunkedArray:
        shape, table = "ChunkedArray", pa.table([value], names=["0"])
    elif isinstance(value, pa.Array):
        shape, table = "Array", pa.RecordBatch.from_arrays([value], names=["0"])
    else:
        return None
    if not table.num_columns or not all(is_plain(field.type) for field in table.schema):
        return None
    return {"shape": shape, "frame": write_stream(table, writer)}


def decode(node: dict[str, Any], reader: Any) -> Any:
    """Lay the table or array on its frame."""
    table = read_stream(node["frame"], reader)
    if node["shape"] == "Table":
        return table
    if node["shape"] == "ChunkedArray":
        return table.column(0)
    if node["shape"] == "Array":
        return table.column(0).chunk(0)
    return _one_batch(table)


def write_stream(table: Any, writer: Any) -> int:
    """Write a table or batch as one frame; returns the frame's number."""
    sink = _Collector()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), table.schema) as stream:
        # Without rows a table has no batches, and without a batch dictionaries would be left out.
        stream.write(table if table.num_rows else _one_batch(table))
    return int(writer.frame(*sink.parts))


def read_stream(number: int, reader: Any) -> Any:
    """Read a table whose buffers lie on the frame of this number."""
    frame = reader.frame(number)
    if not reader.data_only:
        return pa.ipc.open_stream(pa.py_buffer(frame)).read_all()
    check_stream(frame)
    return check_table(pa.ipc.open_stream(pa.py_buffer(frame)).read_all(), frame, reader.budget)


class _Collector:
    """A file that keeps the buffers it is given."""

    def __init__(self) -> None:
        self.parts: list[Any] = []
        self.closed = False

    def write(self, part: Any) -> int:
        self.parts.append(part)
        return len(memoryview(part))

    def flush(self) -> None:
        """Nothing to do: every part is already kept."""

    def close(self) -> None:
        self.closed = True


def _one_batch(table: Any) -> Any:
    """The first chunks of a table's columns, as a batch."""
    if isinstance(table, pa.RecordBatch):
        return table
    chunks = [column.chunk(0) if column.num_chunks else pa.array([], column.type) for column in table.columns]
    return pa.RecordBatch.from_arrays(chunks, schema=table.schema)
