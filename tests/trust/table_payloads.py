"""Crafts of payloads that are tables of arrow and pandas, with offsets and sizes that can't be so."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from tests.trust.crafting import payload
from tests.trust.listed_payloads import LENGTHS, case


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
