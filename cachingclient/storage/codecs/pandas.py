"""Data frames and series: columns of NumPy's types as they are, others through Arrow where that keeps them exactly.

What can get lost is structure (the kind of index, names, a frequency, categories), and structure is the same in an
empty slice, so that is what is compared. A frame that would come back different is pickled.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from cachingclient.storage.limits import UnsafeError

NAME = "pandas"
VERSION = 1
LIBRARIES = ("pandas",)

# Arrow keeps these exactly. Float64 is not among them: Arrow does not tell its NaN from its NA.
EXACT = re.compile(r"u?int(8|16|32|64)|float(32|64)|bool|datetime64\[(s|ms|us|ns)(, .+)?\]|U?Int(8|16|32|64)|boolean")
NUMPY_KINDS = "biufcmM"
MOST_ARRAYS = 100  # columns, beyond which pandas is slow with one array for each


def encode(value: Any, writer: Any) -> dict[str, Any] | None:
    """Describe a DataFrame or a Series."""
    kind = type(value)
    if kind is not pd.Series and kind is not pd.DataFrame:
        return None
    frame = pd.DataFrame({"0": value}, copy=False) if kind is pd.Series else value
    if not (_simple_labels(frame) and value.flags.allows_duplicate_labels):
        return None
    bare = frame.copy(deep=False)
    bare.attrs = {}
    form = "arrays" if _all_numpy(frame) else "arrow"
    if form == "arrow" and not _exact_in_arrow(frame):
        return None
    write, _ = FORMS[form]
    if not _same_structure(bare.iloc[:0], form):
        return None
    node: dict[str, Any] = {"series": kind is pd.Series, "form": form}
    node["attrs"] = writer.encode(dict(value.attrs))
    if kind is pd.Series:
        node["name"] = writer.encode(value.name)
    node["frame"] = write(bare, writer)
    return node


def decode(node: dict[str, Any], reader: Any) -> Any:
    """Build the DataFrame or Series."""
    attrs = reader.decode(node["attrs"])
    name = reader.decode(node["name"]) if node["series"] else None
    _, read = FORMS[node["form"]]
    value = read(node["frame"], reader)
    if node["series"]:
        value = value["0"]
        value.name = name
    value.attrs = attrs
    return value


def _simple_labels(frame: Any) -> bool:
    labels = frame.columns
    return (
        len(labels) > 0
        and not isinstance(labels, pd.MultiIndex)
        and all(type(label) is str for label in labels)
        and labels.is_unique
        and not isinstance(frame.index, pd.MultiIndex)
        and getattr(frame.index, "freq", None) is None
    )


def _all_numpy(frame: Any) -> bool:
    dtypes = [frame.index.dtype, *frame.dtypes]
    return len(dtypes) <= MOST_ARRAYS and all(isinstance(d, np.dtype) and d.kind in NUMPY_KINDS for d in dtypes)


def _exact_in_arrow(frame: Any) -> bool:
    return all(_exact_type(dtype) for dtype in (frame.index.dtype, *frame.dtypes))


def _exact_type(dtype: Any) -> bool:
    if isinstance(dtype, pd.CategoricalDtype):
        return _exact_type(dtype.categories.dtype)
    return str(dtype) == "str" or EXACT.fullmatch(str(dtype)) is not None


def _same_structure(empty: Any, form: str) -> bool:
    from cachingclient.storage.codecs.framing import NeedsPickle, Reader, Writer

    write, read = FORMS[form]
    writer = Writer()
    try:
        node = write(empty, writer)
        reader = Reader([memoryview(bytearray(b"".join(parts))) for parts in writer.frames], data_only=True)
        back = read(node, reader)
        pd.testing.assert_frame_equal(back, empty, check_index_type="exact", check_column_type="exact")
    except (AssertionError, NeedsPickle, TypeError, ValueError):  # Arrow's errors are ValueErrors or TypeErrors too
        return False
    return type(back.index) is type(empty.index)


def _write_arrays(frame: Any, writer: Any) -> dict[str, Any]:
    index = frame.index
    if isinstance(index, pd.RangeIndex):
        labels: Any = {"range": [index.start, index.stop, index.step]}
    else:
        labels = {"values": writer.encode(index.to_numpy())}
    return {
        "index": {**labels, "name": writer.encode(index.name)},
        "columns": list(frame.columns),
        "columns_name": writer.encode(frame.columns.name),
        "arrays": [writer.encode(frame.iloc[:, n].to_numpy()) for n in range(frame.shape[1])],
    }


def _read_arrays(node: dict[str, Any], reader: Any) -> Any:
    labels = node["index"]
    values = None if "range" in labels else reader.decode(labels["values"])
    name = reader.decode(labels["name"])
    columns_name = reader.decode(node["columns_name"])
    index = pd.RangeIndex(*labels["range"], name=name) if values is None else pd.Index(values, name=name)
    arrays = [reader.decode(each) for each in node["arrays"]]
    if not arrays or any(not isinstance(each, np.ndarray) or each.shape != (len(index),) for each in arrays):
        raise UnsafeError("the columns of a table are not as long as its index")
    frame = pd.DataFrame(dict(zip(node["columns"], arrays, strict=True)), index=index, copy=False)
    frame.columns.name = columns_name
    return frame


def _write_arrow(frame: Any, writer: Any) -> int:
    import pyarrow as pa

    from cachingclient.storage.codecs.arrow import write_stream

    return write_stream(pa.Table.from_pandas(frame), writer)


def _read_arrow(number: int, reader: Any) -> Any:
    from cachingclient.storage.codecs.arrow import read_stream

    return read_stream(number, reader).to_pandas()


Form = tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]  # how to write one and how to read it
FORMS: dict[str, Form] = {"arrays": (_write_arrays, _read_arrays), "arrow": (_write_arrow, _read_arrow)}
