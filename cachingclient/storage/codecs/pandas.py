"""Data frames and series through Arrow, where that gives exactly the same back; others are pickled.

Values of the listed types survive Arrow by construction. What can get lost is structure (the kind of index, names,
a frequency, categories), and structure is the same in an empty slice, so that is what is compared.
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pyarrow as pa

from cachingclient.storage.codecs.arrow import read_stream, write_stream

NAME = "pandas"
VERSION = 1
LIBRARIES = ("pandas", "pyarrow")

# Float64 is not among them: Arrow does not tell its NaN from its NA.
EXACT = re.compile(r"u?int(8|16|32|64)|float(32|64)|bool|datetime64\[(s|ms|us|ns)(, .+)?\]|U?Int(8|16|32|64)|boolean")


def encode(value: Any, writer: Any) -> dict[str, Any] | None:
    """Describe a DataFrame or a Series."""
    kind = type(value)
    if kind is pd.Series:
        frame = pd.DataFrame({"0": value}, copy=False)
    elif kind is pd.DataFrame:
        frame = value
    else:
        return None
    if not (_exact(frame) and value.flags.allows_duplicate_labels):
        return None
    bare = frame.copy(deep=False)
    bare.attrs = {}
    if not _same_structure(bare.iloc[:0]):
        return None
    node = {"series": kind is pd.Series, "attrs": writer.encode(dict(value.attrs)), "frame": -1}
    if kind is pd.Series:
        node["name"] = writer.encode(value.name)
    node["frame"] = write_stream(pa.Table.from_pandas(bare), writer)
    return node


def decode(node: dict[str, Any], reader: Any) -> Any:
    """Build the DataFrame or Series."""
    frame = _to_pandas(read_stream(reader.frame(node["frame"])))
    attrs = reader.decode(node["attrs"])
    value = frame
    if node["series"]:
        value = frame["0"]
        value.name = reader.decode(node["name"])
    value.attrs = attrs
    return value


def _exact(frame: Any) -> bool:
    """Whether Arrow keeps all labels and the values of every column."""
    labels = frame.columns
    return (
        len(labels) > 0
        and not isinstance(labels, pd.MultiIndex)
        and all(type(label) is str for label in labels)
        and labels.is_unique
        and not isinstance(frame.index, pd.MultiIndex)
        and getattr(frame.index, "freq", None) is None
        and _exact_type(frame.index.dtype)
        and all(_exact_type(dtype) for dtype in frame.dtypes)
    )


def _exact_type(dtype: Any) -> bool:
    if isinstance(dtype, pd.CategoricalDtype):
        return _exact_type(dtype.categories.dtype)
    return str(dtype) == "str" or EXACT.fullmatch(str(dtype)) is not None


def _same_structure(empty: Any) -> bool:
    try:
        back = _to_pandas(pa.Table.from_pandas(empty))
        pd.testing.assert_frame_equal(back, empty, check_index_type="exact", check_column_type="exact")
    except (AssertionError, pa.ArrowException, TypeError, ValueError):
        return False
    return type(back.index) is type(empty.index)


def _to_pandas(table: Any) -> Any:
    return table.to_pandas(split_blocks=False, self_destruct=False)
