"""pandas: frames, series, indexes and arrays by what a program sees of them.

Notes
-----
How the columns are grouped in memory does not count, nor what lies under a missing value. The levels of a
MultiIndex and the categories of a categorical do, unused ones too: a program can list them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.arrays import IntervalArray, NumpyExtensionArray, SparseArray

from cachingclient.hashing.digest import frame
from cachingclient.hashing.libraries.numpy import encode_array as encode_numpy
from cachingclient.hashing.objects import encode_object
from cachingclient.hashing.registry import register_hasher
from cachingclient.hashing.scalars import encode_int, encode_str

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk


@register_hasher(pd.DataFrame, subclasses=True)
def encode_frame(table: pd.DataFrame, walk: Walk) -> bytes:
    """Return the encoding of a frame by its index, its column names and its columns, in their order."""
    columns = [encode_values(table.iloc[:, number].array, walk) for number in range(table.shape[1])]
    return frame(
        b"(", [encode_index(table.index, walk), encode_index(table.columns, walk), *columns, *_extras(table, walk)]
    )


@register_hasher(pd.Series, subclasses=True)
def encode_series(series: pd.Series[Any], walk: Walk) -> bytes:
    """Return the encoding of a series by its index, name and values."""
    parts = [encode_index(series.index, walk), walk.encode(series.name), encode_values(series.array, walk)]
    return frame(b"(", [*parts, *_extras(series, walk)])


@register_hasher(pd.Index, subclasses=True)
def encode_index(index: pd.Index[Any], walk: Walk) -> bytes:
    """Return the encoding of an index by its kind, names, values and frequency."""
    parts = [walk.encode(type(index)), walk.encode(tuple(index.names))]
    if isinstance(index, pd.RangeIndex):
        parts += map(encode_int, (index.start, index.stop, index.step))
    elif isinstance(index, pd.MultiIndex):
        parts += [encode_index(level, walk) for level in index.levels]
        parts += [encode_numpy(np.asarray(codes, dtype=np.int64), walk) for codes in index.codes]
        parts.append(walk.encode(index.sortorder))
    else:
        # The array of an index does not know its frequency in every release.
        parts += [encode_values(index.array, walk), walk.encode(getattr(index, "freq", None))]
    return frame(b"(", parts)


@register_hasher(pd.api.extensions.ExtensionArray, subclasses=True)
def encode_values(values: Any, walk: Walk) -> bytes:
    """Return the encoding of an array of any of pandas' kinds."""
    if not type(values).__module__.startswith("pandas."):
        return encode_object(values, walk)  # what else it may hold only its author knows
    dtype = values.dtype
    if isinstance(values, NumpyExtensionArray):
        return encode_numpy(values.to_numpy(), walk)
    if (table := getattr(values, "_pa_array", None)) is not None:
        from cachingclient.hashing.libraries.pyarrow import encode_arrow

        return frame(b"(", [encode_dtype(dtype, walk), encode_arrow(table, walk)])
    if isinstance(values, pd.Categorical):
        return frame(b"(", [encode_dtype(dtype, walk), encode_numpy(np.asarray(values.codes), walk)])
    if isinstance(values, IntervalArray):
        sides = [encode_values(_extension(side), walk) for side in (values.left, values.right)]
        return frame(b"(", [encode_str(values.closed), *sides])
    if isinstance(values, SparseArray):
        stored = [encode_numpy(np.asarray(part), walk) for part in (values.sp_values, values.sp_index.indices)]
        return frame(b"(", [encode_dtype(dtype, walk), encode_int(len(values)), *stored])
    if hasattr(values, "_mask") and hasattr(values, "_data"):
        return frame(b"(", [encode_dtype(dtype, walk), *_masked(values._data, values._mask, walk)])
    if isinstance(getattr(values, "_ndarray", None), np.ndarray):
        # Dates, periods and texts keep a NumPy array, and tell the rest by their data type and frequency.
        stored = [encode_numpy(values._ndarray, walk), walk.encode(getattr(values, "freq", None))]
        return frame(b"(", [encode_dtype(dtype, walk), *stored])
    return encode_object(values, walk)


@register_hasher(pd.api.extensions.ExtensionDtype, subclasses=True)
def encode_dtype(dtype: Any, walk: Walk) -> bytes:
    """Return the encoding of a data type."""
    parts = [walk.encode(type(dtype)), encode_str(str(dtype))]
    if isinstance(dtype, pd.CategoricalDtype):
        categories = dtype.categories
        parts.append(b"" if categories is None else encode_index(categories, walk))
        parts.append(walk.encode(dtype.ordered))
    elif isinstance(dtype, pd.DatetimeTZDtype):
        parts.append(walk.encode(dtype.tz))
    elif isinstance(dtype, pd.StringDtype):
        parts += [encode_str(dtype.storage), walk.encode(dtype.na_value)]
    elif isinstance(dtype, pd.SparseDtype):
        parts.append(walk.encode(dtype.fill_value))
    elif (arrow := getattr(dtype, "pyarrow_dtype", None)) is not None:
        parts.append(walk.encode(arrow))
    elif not type(dtype).__module__.startswith("pandas."):
        parts.append(encode_object(dtype, walk))
    return frame(b"(", parts)


@register_hasher("pandas.api.typing.NaTType")
@register_hasher("pandas._libs.tslibs.nattype.NaTType")
@register_hasher("pandas.api.typing.NAType")
@register_hasher("pandas._libs.missing.NAType")
def encode_missing(missing: object, walk: Walk) -> bytes:
    """Return the encoding of one of the missing values."""
    return str(missing).encode()


def _extension(values: Any) -> Any:
    return values.array if isinstance(values, pd.Index) else values


def _masked(data: Any, mask: Any, walk: Walk) -> list[bytes]:
    if not mask.any():
        return [encode_numpy(data, walk)]
    data = data.copy()
    data[mask] = np.zeros((), data.dtype)
    return [encode_numpy(data, walk), encode_numpy(np.asarray(mask), walk)]


def _extras(table: Any, walk: Walk) -> list[bytes]:
    """Return the encodings of what else a frame or series carries, those of other libraries included."""
    parts = []
    if table.attrs:
        parts.append(walk.encode(table.attrs))
    if not table.flags.allows_duplicate_labels:
        parts.append(b"unique labels")
    added = [name for name in table._metadata if name not in ("name", "_name")]
    parts += [frame(b"(", [encode_str(name), walk.encode(getattr(table, name, None))]) for name in added]
    return parts
