"""Data frames and Arrow's tables come back equal, of the same type, and writable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cachingclient.storage import decode, encode
from tests.storage.codecs.roundtrip import roundtrip

FRAMES = {
    "mixed": pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [1.5, np.nan], "d": [True, False]}),
    "labels": pd.DataFrame({"a": [1, 2]}, index=pd.Index(["p", "q"], name="label")),
    "zone": pd.DataFrame({"when": pd.date_range("2020", periods=3, tz="Europe/London")}),
    "categories": pd.DataFrame({"k": pd.Categorical(["a", "b"], ["b", "a", "z"], ordered=True)}),
    "nullable": pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "t": pd.array([True, None], dtype="boolean")}),
    "numbers": pd.DataFrame({"a": [1, 2], "b": [1.5, np.nan], "c": [1j, 2]}, index=pd.Index([5, 7], name="n")),
    "times": pd.DataFrame({"t": pd.to_timedelta([1, 2])}, index=pd.DatetimeIndex(["2020-01-01", "2021-01-01"])),
    "named columns": pd.DataFrame({"a": [1]}).rename_axis(columns="what"),
    "no rows of categories": pd.DataFrame({"k": pd.Categorical([], ["b", "a"])}),
    "no rows": pd.DataFrame({"a": np.zeros(0, "f4")}),
}
AWAY_FROM_ARROW = {
    "frequency": pd.DataFrame({"a": [1]}, index=pd.date_range("2020", periods=1, freq="D")),
    "objects": pd.DataFrame({"o": [(1, 2)]}),
    "numbered columns": pd.DataFrame({1: [1]}),
    "two levels": pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)])),
    "nothing": pd.DataFrame(),
    "only an index": pd.DataFrame(index=[1, 2]),
    "same names": pd.DataFrame([[1, 2]], columns=["a", "a"]),
    "NaN and NA": pd.DataFrame({"a": pd.array([1.5, None], dtype="Float64")}),
    "period": pd.DataFrame({"a": pd.period_range("2020", periods=2, freq="M")}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_data_frames_through_arrow(name: str) -> None:
    """Values, types, labels and attrs are kept, and the result can be changed."""
    frame = FRAMES[name].copy()
    frame.attrs = {"unit": ("GeV", 1)}
    codec, back = roundtrip(frame)
    assert codec == "pandas"
    pd.testing.assert_frame_equal(back, frame, check_index_type="exact", check_freq=True)
    assert back.attrs == frame.attrs
    back["new"] = 1
    back.iloc[:1, 0] = back.iloc[:1, 0]


@pytest.mark.parametrize("name", AWAY_FROM_ARROW)
def test_data_frames_that_arrow_would_change_are_pickled(name: str) -> None:
    """What Arrow can't keep exactly is kept by pickle."""
    codec, back = roundtrip(AWAY_FROM_ARROW[name])
    assert codec == "pickle"
    pd.testing.assert_frame_equal(back, AWAY_FROM_ARROW[name], check_freq=True)


@pytest.mark.parametrize("name", ["x", None, ("pair", 1)])
def test_series(name: Any) -> None:
    """A series keeps its name, whatever that is."""
    series = pd.Series([1.5, np.nan], index=["a", "b"], name=name)
    codec, back = roundtrip(series)
    assert codec == "pandas"
    pd.testing.assert_series_equal(back, series)
    back.iloc[0] = 5


TABLE = pa.table(
    {
        "n": [1, None, 3],
        "s": ["x", "y", None],
        "l": [[1], [2, 3], None],
        "d": pa.array(["a", "b", "a"]).dictionary_encode(),
    },
    metadata={"k": "v"},
)


@pytest.mark.parametrize(
    "value",
    [
        TABLE,
        TABLE.slice(1, 1),
        TABLE.slice(0, 0),
        pa.concat_tables([TABLE, TABLE]),
        TABLE.to_batches()[0],
        TABLE["l"],
        pa.array([1, None]),
        pa.array([], pa.string()),
        pa.array(["a", "b"]).dictionary_encode().slice(0, 0),
        pa.array([{"a": 1}, None]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_arrow(value: Any) -> None:
    """Tables, batches and arrays come back equal, with their metadata."""
    codec, back = roundtrip(value)
    assert codec == "arrow"
    assert type(back) is type(value)
    assert back.equals(value)
    if isinstance(value, pa.Table):
        assert back.schema.equals(value.schema, check_metadata=True)


def test_columns_of_numbers_are_views_in_both_directions() -> None:
    """Neither saving nor loading a frame of numbers copies its columns."""
    frame = pd.DataFrame({name: np.arange(10_000) * 0.5 for name in "ab"})
    encoded = encode(frame)
    big = [part for part in encoded.frames if part.nbytes == 80_000]
    assert all(np.shares_memory(np.frombuffer(part), frame["ab"[n]].to_numpy()) for n, part in enumerate(big))
    whole = bytearray(b"".join(encoded.frames))
    back = decode(whole)
    assert np.shares_memory(np.frombuffer(whole, "u1"), back["b"].to_numpy())
    back.loc[3, "b"] = 7.0
    assert back["b"][3] == 7.0


def test_a_slice_of_a_table_does_not_carry_the_table() -> None:
    """Only what is selected is written."""
    table = pa.table({"a": np.arange(100_000)})
    assert encode(table.slice(5, 10)).nbytes < 2000
