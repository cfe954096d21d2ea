"""What is encoded comes back equal, of the same type, and writable."""

from __future__ import annotations

import datetime
from collections import OrderedDict, namedtuple
from typing import Any

import awkward as ak
import boost_histogram as bh
import hist
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from coffea.nanoevents.methods import candidate, nanoaod
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from cachingclient.hashing.walk import identify
from cachingclient.storage import UncodableError, decode, encode
from cachingclient.storage.codecs import DataOnlyError, NewerCodecError, readable

Point = namedtuple("Point", "x y")


class Labelled(np.ndarray):
    """A subclass, which may hold more than its items."""


def roundtrip(value: Any) -> tuple[str, Any]:
    """The codec that was used, and what came back."""
    encoded = encode(value)
    return encoded.codec, decode(b"".join(encoded.frames))


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers(), st.text()), inner)
    ),
)


@given(plain)
def test_plain_values_and_containers(value: Any) -> None:
    """Any nesting of Python's own values comes back the same, to the last bit of its floats."""
    codec, back = roundtrip(value)
    assert codec == "containers"
    assert repr(back) == repr(value)


any_dtype = st_numpy.scalar_dtypes() | st_numpy.array_dtypes()


@given(st_numpy.arrays(any_dtype, st_numpy.array_shapes(min_dims=0, min_side=0)))
def test_arrays(array: Any) -> None:
    """Arrays of any type and shape come back with the same bytes, and can be written to."""
    codec, back = roundtrip(array)
    assert codec == "numpy" or array.dtype.names or not array.dtype.itemsize  # titles of fields are left to pickle
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert back.flags.writeable


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(24)[::2],
        np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
        np.broadcast_to(np.float32(2), (3, 3)),
        np.zeros(3, np.dtype([("a", "i1"), ("b", "f8")], align=True)),
        np.zeros(3, np.dtype({"names": ["b"], "formats": ["f4"], "offsets": [8], "itemsize": 16})),
        np.array(["2020-01-01", "NaT"], "M8[ns]"),
        np.array(3.5),
        np.arange(5, dtype=">i4"),
        np.zeros(0, "U5"),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_layouts_of_arrays(array: Any) -> None:
    """Type, order and values are kept, whatever the memory looked like."""
    codec, back = roundtrip(array)
    assert codec == "numpy"
    assert back.dtype == array.dtype
    assert back.dtype.isalignedstruct == array.dtype.isalignedstruct
    assert back.flags.f_contiguous == array.flags.f_contiguous or not array.flags.forc
    assert back.flags.writeable
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    "array",
    [
        np.array([1, "a", None], dtype=object),
        np.zeros(2, [("a", object)]),
        np.arange(3).view(Labelled),
        np.recarray(2, [("a", "i4")]),
        np.array(["a", "bc"], dtype=np.dtypes.StringDType()),
        np.zeros(2, np.dtype("i4", metadata={"unit": "GeV"})),
    ],
    ids=["objects", "fields of objects", "subclass", "recarray", "strings", "metadata"],
)
def test_arrays_that_are_more_than_their_bytes_are_pickled(array: Any) -> None:
    """They come back as the same class with the same type."""
    codec, back = roundtrip(array)
    assert codec == "pickle"
    assert type(back) is type(array)
    assert back.dtype == array.dtype


@pytest.mark.parametrize("mask", [np.ma.nomask, [True, False, True]])
@pytest.mark.parametrize("fill", [None, -5])
def test_masked_arrays(mask: Any, fill: Any) -> None:
    """Data under the mask, the mask, its hardness and the fill value are kept."""
    array = np.ma.MaskedArray([1, 2, 3], mask=mask, fill_value=fill, hard_mask=True)
    codec, back = roundtrip(array)
    assert codec == "numpy"
    assert back.data.tolist() == array.data.tolist()
    assert (back.mask is np.ma.nomask) == (array.mask is np.ma.nomask)
    np.testing.assert_array_equal(back.mask, array.mask)
    assert (back.fill_value, back.hardmask) == (array.fill_value, array.hardmask)


@pytest.mark.parametrize(
    "scalar", [np.float32(1.5), np.datetime64("2020"), np.bool_(True), np.str_("a"), np.complex64(1j), np.longdouble(1)]
)
def test_numpy_scalars(scalar: Any) -> None:
    """A NumPy scalar stays one, of its type."""
    codec, back = roundtrip(scalar)
    assert codec == "numpy"
    assert type(back) is type(scalar)
    assert back == scalar


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


AWKWARD = {
    "jagged": ak.Array([[1, 2], [], [3]]),
    "records": ak.Array([{"x": 1, "y": [1, 2]}, {"x": 2, "y": []}]),
    "strings": ak.Array(["a", "bc"]),
    "options and unions": ak.Array([1, None, "x"]),
    "named": ak.with_name(ak.Array([{"x": 1}]), "Point"),
    "attrs": ak.Array([[1, 2], []], attrs={"unit": "GeV"}),
    "empty": ak.Array([]),
    "regular": ak.Array(np.arange(24).reshape(2, 3, 4)),
    "categorical": ak.str.to_categorical(ak.Array(["a", "b", "a"])),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_arrays(name: str) -> None:
    """Values, type, name and attrs are kept."""
    array = AWKWARD[name]
    codec, back = roundtrip(array)
    assert codec == "awkward"
    assert type(back) is type(array)
    assert back.type == array.type
    assert back.to_list() == array.to_list()
    assert dict(back.attrs) == dict(array.attrs)


def test_an_awkward_record() -> None:
    """One record out of an array stays a record."""
    record = ak.Array([{"x": 1, "y": [1, 2]}, {"x": 3, "y": []}])[1]
    codec, back = roundtrip(record)
    assert codec == "awkward"
    assert isinstance(back, ak.Record)
    assert (back.to_list(), back.type) == (record.to_list(), record.type)


def test_a_selection_does_not_carry_what_it_was_selected_from() -> None:
    """Awkward selections are views; only what they show is written."""
    array = ak.Array({"x": np.arange(100_000), "y": np.arange(100_000)})
    assert encode(array[array.x < 10]).nbytes < 4000


def test_a_virtual_array_is_read_in_a_copy() -> None:
    """It loads equal to what it stands for."""
    real = ak.Array([[1, 2], [], [3]])
    form, length, buffers = ak.to_buffers(real)
    virtual = ak.from_buffers(form, length, {name: lambda b=b: b for name, b in buffers.items()})
    codec, back = roundtrip(virtual)
    assert codec == "awkward"
    assert back.to_list() == real.to_list()


def test_loaded_awkward_buffers_are_writable() -> None:
    """As writable as computed ones."""
    back = roundtrip(AWKWARD["jagged"])[1]
    assert np.asarray(back.layout.content.data).flags.writeable


class Vector(ak.Record):
    """A class that only a behaviour gives."""


def test_an_awkward_array_with_its_own_behaviour_keeps_its_class() -> None:
    """The behaviour goes with it, pickled where it is the user's: it is refused where only data may be loaded."""
    array = ak.Array([{"x": 1}], with_name="Vector", behavior={"Vector": Vector})
    codec, back = roundtrip(array)
    assert codec == "awkward"
    assert type(back[0]) is Vector
    with pytest.raises(DataOnlyError):
        decode(b"".join(encode(array).frames), data_only=True)


def jets(behavior: Any) -> Any:
    """Jets as coffea gives them, with the behaviour given."""
    columns = {
        "pt": [[40.0, 30.0], []],
        "eta": [[0.1, 1.0], []],
        "phi": [[0.0, 3.0], []],
        "mass": [[5.0, 4.0], []],
        "charge": [[1, 0], []],
    }
    zipped = ak.zip({name: ak.Array(values) for name, values in columns.items()})
    return ak.with_name(zipped, "PtEtaPhiMCandidate", behavior=behavior)


class Boosted(candidate.PtEtaPhiMCandidateArray):
    """Jets of a user's own class."""


BEHAVIOURS = {
    "coffea's own": nanoaod.behavior,
    "a copy of it": dict(nanoaod.behavior),
    "one within it": candidate.behavior,
}


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_library_s_behaviour_is_kept_by_its_name(name: str) -> None:
    """It is as small as the data, nothing in it runs code, and what is loaded is and does the same."""
    array = jets(BEHAVIOURS[name])
    encoded = encode(array)
    assert encoded.nbytes < 4000
    assert encoded.codecs == {"awkward": 2, "containers": 1}
    back = decode(b"".join(encoded.frames), data_only=True)
    assert type(back) is type(array)
    assert back.behavior == array.behavior
    assert (back.behavior is array.behavior) is (name != "a copy of it")
    assert identify(back).digest == identify(array).digest
    assert ak.almost_equal((back + back).energy, (array + array).energy)
    assert type(roundtrip(array[0, 0])[1]) is type(array[0, 0])


def test_what_a_user_added_to_a_library_s_behaviour_is_kept_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it was added in place, for a process that has not done so."""
    own = {("*", "PtEtaPhiMCandidate"): Boosted}
    beside = encode(jets({**candidate.behavior, **own}))
    with monkeypatch.context() as patch:
        patch.setitem(candidate.behavior, *next(iter(own.items())))
        within = encode(jets(candidate.behavior))
        assert decode(b"".join(within.frames)).behavior is candidate.behavior
    for encoded in (beside, within):
        assert encoded.nbytes < 4000
        back = decode(b"".join(encoded.frames))
        assert type(back) is Boosted
        assert back.behavior == {**candidate.behavior, **own}
    assert candidate.behavior["*", "PtEtaPhiMCandidate"] is not Boosted


def test_a_behaviour_is_looked_for_in_its_libraries_only() -> None:
    """An entry of a store can't have another module imported."""
    payload = b"".join(encode(jets(nanoaod.behavior)).frames)
    place = b"coffea.nanoevents.methods.nanoaod:behavior"
    with pytest.raises(ValueError, match="no behavior of coffea or vector"):
        decode(payload.replace(place, b"antigravity:behavior".ljust(len(place), b"x")))


def filled(histogram: Any) -> Any:
    """The histogram with something in it."""
    return histogram.fill(*(np.arange(4) for _ in histogram.axes))


HISTOGRAMS = {
    "hist": filled(hist.Hist.new.Reg(10, 0, 1, name="x", label="X", metadata={"a": (1, 2)}).Weight(label="l")),
    "product": filled(hist.Hist.new.Reg(3, 0, 1, name="x").Double()) * 2.0,
    "named": hist.NamedHist.new.Reg(3, 0, 1, name="x").Double(),
    "categories": hist.Hist.new.StrCat(["a"], growth=True, name="c").IntCat([1, 2]).Int64(),
    "log": filled(bh.Histogram(bh.axis.Regular(3, 1, 10, transform=bh.axis.transform.log))),
    "circular": filled(bh.Histogram(bh.axis.Variable([0, 1, 3], circular=True))),
    "no flow": filled(bh.Histogram(bh.axis.Integer(0, 3, underflow=False, overflow=False))),
    "two": filled(bh.Histogram(bh.axis.Regular(3, 0, 1), bh.axis.Boolean(), storage=bh.storage.Weight())),
    "mean": bh.Histogram(bh.axis.Regular(3, 0, 1), storage=bh.storage.WeightedMean()),
}


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_histograms(name: str) -> None:
    """Contents, axes, storage, names and metadata are kept, and filling goes on."""
    histogram = HISTOGRAMS[name]
    codec, back = roundtrip(histogram)
    assert codec == ("pickle" if name == "mean" else "hist")
    assert type(back) is type(histogram)
    assert back == histogram
    assert (back.variances() is None) == (histogram.variances() is None)
    assert type(back.storage_type()) is type(histogram.storage_type())
    for one, other in zip(back.axes, histogram.axes, strict=True):
        assert one.traits == other.traits
        assert one.__dict__ == other.__dict__
    back.reset()


def test_what_a_processor_returns() -> None:
    """A dict of histograms, arrays and counts goes through the codecs of its items, without pickle."""
    result = {"ht": HISTOGRAMS["hist"], "jets": AWKWARD["jagged"], "n": {"ttbar": 3, "wjets": np.int64(5)}}
    encoded = encode(result)
    assert encoded.codecs.keys() == {"containers", "hist", "awkward", "numpy"}
    back = decode(b"".join(encoded.frames), data_only=True)
    assert back["ht"] == result["ht"]
    assert back["n"] == result["n"]


@pytest.mark.parametrize(
    "value",
    [Point(1, 2), OrderedDict(a=1), datetime.date(2020, 1, 1), {1: {"x": Point(1, np.arange(3))}}, slice(1, 2), int],
    ids=repr,
)
def test_anything_else_is_pickled(value: Any) -> None:
    """A container with one such item is pickled as a whole."""
    codec, back = roundtrip(value)
    assert codec == "pickle"
    assert repr(back) == repr(value)
    assert type(back) is type(value)


def test_pickled_arrays_are_laid_on_frames_and_writable() -> None:
    """Buffers go out of band: they are neither copied nor read-only."""
    encoded = encode(Point(np.arange(1000.0), 1))
    assert len(encoded.frames) > 1
    back = decode(bytearray(b"".join(encoded.frames)))
    back.x[0] = 7


def test_what_only_this_script_defines_is_pickled_by_value() -> None:
    """Functions without a module of their own go through cloudpickle."""
    assert roundtrip(lambda x: x + 1)[1](1) == 2


def test_shared_items_stay_shared() -> None:
    """The same array twice in a list is the same array twice when it is loaded."""
    array = np.arange(3)
    back = roundtrip([array, {"again": array}])[1]
    assert back[0] is back[1]["again"]


def test_a_list_that_contains_itself() -> None:
    """Cycles are left to pickle."""
    value: list[Any] = [1]
    value.append(value)
    codec, back = roundtrip(value)
    assert codec == "pickle"
    assert back[1] is back


def test_what_can_t_be_serialised_says_so() -> None:
    """The error names the type."""
    with pytest.raises(UncodableError, match="generator"):
        encode(n for n in range(3))


def test_frames_are_views_of_the_value() -> None:
    """Encoding copies no big buffer."""
    array = np.arange(100_000)
    frame = max(encode(array).frames, key=lambda each: each.nbytes)
    assert np.shares_memory(np.frombuffer(frame, array.dtype), array)


def test_frames_lie_on_boundaries_of_64_bytes() -> None:
    """So that arrays on mapped memory are aligned for any processor."""
    encoded = encode([np.arange(3, dtype="i1"), np.arange(5.0)])
    whole = bytearray(b"".join(encoded.frames))
    back = decode(whole)
    start = np.frombuffer(whole, "u1").ctypes.data
    assert [(each.ctypes.data - start) % 64 for each in back] == [0, 0]


def test_equal_values_have_equal_digests() -> None:
    """Sets included, whose order differs between processes."""
    assert encode({"a", "b", "c"}).digest == encode({"c", "b", "a"}).digest


def test_pickles_are_refused_where_only_data_is_wanted() -> None:
    """No code runs, the error says why."""
    payload = b"".join(encode(Point(1, 2)).frames)
    with pytest.raises(DataOnlyError, match="only data"):
        decode(payload, data_only=True)


def test_newer_codecs_are_known_as_such() -> None:
    """A name or a version that does not exist here can't be read."""
    assert readable({"numpy": 1, "pickle": 1})
    assert not readable({"numpy": 99})
    assert not readable({"zarr": 1})
    payload = b"".join(encode([np.arange(3)]).frames).replace(b'"codec":"numpy"', b'"codec":"zarrr"')
    with pytest.raises(NewerCodecError, match="zarrr"):
        decode(payload)
