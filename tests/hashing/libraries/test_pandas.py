"""pandas and Arrow values: what a program sees counts, how it is kept in memory does not."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from tests.support.copies import COPIES, digest


def frame(**changes: Any) -> pd.DataFrame:
    """Return a frame with columns of many kinds."""
    columns = {
        "pt": [1.5, 2.5, np.nan],
        "n": [1, 2, 3],
        "name": ["a", "b", "c"],
        "flag": [True, False, True],
        "kind": pd.Categorical(["x", "y", "x"], categories=["y", "x", "z"]),
        "time": pd.date_range("2026-01-01", periods=3, tz="Europe/Zurich"),
        "count": pd.array([1, None, 3], dtype="Int64"),
    }
    return pd.DataFrame(columns | changes)


def with_attrs() -> pd.DataFrame:
    """Return the frame with something attached."""
    table = frame()
    table.attrs["source"] = "data"
    return table


FRAMES: dict[str, Callable[[], Any]] = {
    "as it is": frame,
    "a value": lambda: frame(pt=[1.5, 2.5, 3.5]),
    "a type": lambda: frame(n=np.array([1, 2, 3], "i4")),
    "a name": lambda: frame().rename(columns={"pt": "PT"}),
    "order of columns": lambda: frame()[["n", "pt", "name", "flag", "kind", "time", "count"]],
    "order of rows": lambda: frame().iloc[[1, 0, 2]].reset_index(drop=True),
    "index": lambda: frame().set_index("n"),
    "index of the same numbers": lambda: frame().set_axis(pd.Index([0, 1, 2])),
    "index name": lambda: frame().rename_axis("row"),
    "categories": lambda: frame(kind=pd.Categorical(["x", "y", "x"], categories=["x", "y", "z"])),
    "unused category": lambda: frame(kind=pd.Categorical(["x", "y", "x"], categories=["y", "x"])),
    "ordered categories": lambda: frame(kind=pd.Categorical(["x", "y", "x"], categories=["y", "x", "z"], ordered=True)),
    "time zone": lambda: frame(time=pd.date_range("2026-01-01", periods=3, tz="Europe/Paris")),
    "missing": lambda: frame(count=pd.array([1, 2, 3], dtype="Int64")),
    "object text": lambda: frame(name=pd.Series(["a", "b", "c"], dtype=object)),
    "attributes": with_attrs,
    "unique labels": lambda: frame().set_flags(allows_duplicate_labels=False),
    "one column": lambda: frame()["pt"],
    "another column name": lambda: frame()["pt"].rename("PT"),
    "index alone": lambda: frame().index,
    "several levels": lambda: pd.MultiIndex.from_product([[1, 2], ["a", "b"]]),
    "names of levels": lambda: pd.MultiIndex.from_product([[1, 2], ["a", "b"]], names=["x", "y"]),
    "frequency": lambda: pd.date_range("2026-01-01", periods=3, freq="D"),
    "no frequency": lambda: pd.DatetimeIndex(["2026-01-01", "2026-01-02", "2026-01-03"]),
    "durations": lambda: pd.timedelta_range("1D", periods=3),
    "periods": lambda: pd.Series(pd.period_range("2026-01", periods=2, freq="M")),
    "intervals": lambda: pd.Series(pd.interval_range(0, 3)),
    "closed intervals": lambda: pd.Series(pd.interval_range(0, 3, closed="both")),
    "sparse": lambda: pd.Series(pd.arrays.SparseArray([0, 0, 1])),
    "arrow numbers": lambda: pd.Series([1, 2, None], dtype="int64[pyarrow]"),
    "python text": lambda: pd.Series(["a", None], dtype="string[python]"),
    "bools with missing": lambda: pd.Series([True, None], dtype="boolean"),
    "a moment": lambda: pd.Timestamp("2026-01-01", tz="UTC"),
    "a moment elsewhere": lambda: pd.Timestamp("2026-01-01"),
    "not a time": lambda: pd.NaT,
    "not available": lambda: pd.NA,
    "a duration": lambda: pd.Timedelta("1D"),
    "a period": lambda: pd.Period("2026-01"),
    "an offset": lambda: pd.offsets.Day(2),
    "another offset": lambda: pd.offsets.BusinessDay(2),
    "a type alone": lambda: pd.CategoricalDtype(["a"]),
    "an interval": lambda: pd.Interval(0, 1),
}


def test_whatever_changes_shows() -> None:
    """Every change of a frame gives another identity, made again the same one."""
    digests = {name: digest(make()) for name, make in FRAMES.items()}
    assert len(set(digests.values())) == len(digests)
    assert {name: digest(make()) for name, make in FRAMES.items()} == digests


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", FRAMES)
def test_a_copy_has_the_identity_of_the_original(name: str, way: str) -> None:
    """Frames, series, indexes and scalars survive copying."""
    value = FRAMES[name]()
    assert digest(COPIES[way](value)) == digest(value)


def test_how_columns_are_grouped_does_not_count() -> None:
    """A frame made from one array, column by column or in pieces is the same frame."""
    values = np.arange(12.0).reshape(4, 3)
    whole = pd.DataFrame(values, columns=list("abc"))
    columns = pd.DataFrame({name: values[:, number].copy() for number, name in enumerate("abc")})
    grown = pd.DataFrame({"a": values[:, 0]})
    for number, name in enumerate("bc", 1):
        grown[name] = values[:, number]
    pieces = pd.concat([whole.iloc[:2], whole.iloc[2:]])
    pieces.index = pd.RangeIndex(4)
    assert len({digest(table) for table in (whole, columns, grown, pieces)}) == 1


def test_what_lies_under_a_missing_value_does_not_count() -> None:
    """A masked array keeps numbers nobody can see."""
    one = pd.arrays.IntegerArray(np.array([1, 5]), np.array([False, True]))
    other = pd.arrays.IntegerArray(np.array([1, 9]), np.array([False, True]))
    assert digest(one) == digest(other)


class Measured(pd.api.extensions.ExtensionArray):
    """An array with a unit besides its numbers."""

    def __init__(self, values: Any, unit: str) -> None:
        self._ndarray = np.asarray(values)
        self.unit = unit

    dtype = pd.Int64Dtype()

    def __len__(self) -> int:
        return len(self._ndarray)


def test_an_array_of_the_users_own_counts_with_all_it_holds() -> None:
    """A class that looks like one of pandas' may hold more than they do."""
    assert digest(Measured([1], "GeV")) == digest(Measured([1], "GeV"))
    assert digest(Measured([1], "GeV")) != digest(Measured([1], "MeV"))


def test_a_column_may_name_files(tmp_path: Path) -> None:
    """The files that a table lists are inputs, whatever kind of text it uses."""
    file = tmp_path / "a.txt"
    file.write_text("1")
    for dtype in ("str", "object", "string[python]", "string[pyarrow]", "category"):
        column = pd.Series([str(file), "x"], dtype=dtype)
        assert len(identify(column).inputs) == 1, dtype
    assert len(identify(pa.table({"file": [str(file)]})).inputs) == 1


ARROW: dict[str, Callable[[], Any]] = {
    "numbers": lambda: pa.array([1, 2, None]),
    "other numbers": lambda: pa.array([1, 2, 3]),
    "small numbers": lambda: pa.array([1, 2, None], pa.int8()),
    "floats": lambda: pa.array([1.5, None]),
    "bools": lambda: pa.array([True, None, False]),
    "text": lambda: pa.array(["a", None, "bc"]),
    "text cut elsewhere": lambda: pa.array(["ab", None, "c"]),
    "missing and empty": lambda: pa.array(["a", "", "bc"]),
    "large text": lambda: pa.array(["a", None, "bc"], pa.large_string()),
    "text views": lambda: pa.array(["a", None, "bc"], pa.string_view()),
    "bytes": lambda: pa.array([b"a", None, b"bc"]),
    "fixed bytes": lambda: pa.array([b"ab", None], pa.binary(2)),
    "nothing": lambda: pa.array([None, None]),
    "dates": lambda: pa.array([1, None], pa.date32()),
    "moments": lambda: pa.array([1, None], pa.timestamp("us", "UTC")),
    "decimals": lambda: pa.array([decimal.Decimal("1.10"), None]),
    "lists": lambda: pa.array([[1, 2], None, []]),
    "lists cut elsewhere": lambda: pa.array([[1], None, [2]]),
    "fixed lists": lambda: pa.array([[1, 2], None], pa.list_(pa.int64(), 2)),
    "records": lambda: pa.array([{"a": 1, "b": "x"}, None]),
    "maps": lambda: pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
    "dictionary": lambda: pa.array(["a", "b", "a"]).dictionary_encode(),
    "empty": lambda: pa.array([], pa.int64()),
    "empty text": lambda: pa.array([], pa.string()),
    "table": lambda: pa.table({"a": [1, 2], "b": ["x", None]}),
    "table with metadata": lambda: pa.table({"a": [1, 2], "b": ["x", None]}).replace_schema_metadata({"k": "v"}),
    "columns in another order": lambda: pa.table({"b": ["x", None], "a": [1, 2]}),
    "batch": lambda: pa.record_batch({"a": [1, 2]}),
    "scalar": lambda: pa.scalar(1),
    "text scalar": lambda: pa.scalar("a"),
    "type": pa.int64,
    "field": lambda: pa.field("a", pa.int64()),
    "field that may not miss": lambda: pa.field("a", pa.int64(), nullable=False),
    "schema": lambda: pa.schema([("a", pa.int64())]),
    "union": lambda: pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]),
    "run ends": lambda: pa.RunEndEncodedArray.from_arrays([2, 3], ["a", "b"]),
    "buffer": lambda: pa.py_buffer(b"abc"),
}


def test_whatever_changes_shows_in_arrow() -> None:
    """Arrow values of all kinds are told apart, and are equal when made again."""
    digests = {name: digest(make()) for name, make in ARROW.items()}
    assert len(set(digests.values())) == len(digests)
    assert {name: digest(make()) for name, make in ARROW.items()} == digests


@pytest.mark.parametrize("way", ["pickle", "cloudpickle"])
@pytest.mark.parametrize("name", ARROW)
def test_a_copy_of_an_arrow_value_has_its_identity(name: str, way: str) -> None:
    """Arrow values survive copying."""
    value = ARROW[name]()
    assert digest(COPIES[way](value)) == digest(value)


columns = st.one_of(
    st.lists(st.none() | st.integers(-100, 100), max_size=12).map(lambda values: pa.array(values, pa.int64())),
    st.lists(st.none() | st.booleans(), max_size=12).map(lambda values: pa.array(values, pa.bool_())),
    st.lists(st.none() | st.text(max_size=3), max_size=12).map(lambda values: pa.array(values, pa.string())),
    st.lists(st.none() | st.lists(st.none() | st.integers(0, 9), max_size=3), max_size=8).map(
        lambda values: pa.array(values, pa.list_(pa.int64()))
    ),
    st.lists(st.none() | st.fixed_dictionaries({"a": st.none() | st.integers(0, 9)}), max_size=8).map(
        lambda values: pa.array(values, pa.struct([("a", pa.int64())]))
    ),
)


@given(columns, st.data())
def test_chunks_and_offsets_do_not_count(column: Any, data: st.DataObject) -> None:
    """A column in pieces, and a slice of a longer one, is the column made anew."""
    cut = data.draw(st.integers(0, len(column)))
    whole, made = pa.chunked_array([column]), pa.array(column.to_pylist(), column.type)
    assert digest(pa.chunked_array([column[:cut], column[cut:]], column.type)) == digest(whole)
    assert digest(made) == digest(column)
    assert digest(column[cut:]) == digest(pa.array(column.to_pylist()[cut:], column.type))


@given(columns, columns)
def test_arrow_columns_that_differ_have_different_identities(one: Any, other: Any) -> None:
    """Two columns are equal in identity when their type and elements are."""
    same = one.type == other.type and one.to_pylist() == other.to_pylist()
    assert (digest(one) == digest(other)) == same


def test_an_open_parquet_file_is_named(tmp_path: Path) -> None:
    """A file that is still open has no identity."""
    from pyarrow import parquet

    parquet.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with (
        parquet.ParquetFile(tmp_path / "a.parquet") as file,
        pytest.raises(Unidentifiable, match="an open Parquet file"),
    ):
        identify(file)
