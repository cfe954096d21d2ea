"""What is encoded comes back equal, of the same type, and writable."""

from __future__ import annotations

import datetime
from collections import OrderedDict, namedtuple
from typing import Any

import awkward as ak
import boost_histogram as bh
import hist
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from cachingclient.storage import UncodableError, decode, encode
from cachingclient.storage.codecs import DataOnlyError, NewerCodecError, readable
from tests.storage.codecs.roundtrip import roundtrip

Point = namedtuple("Point", "x y")


class Labelled(np.ndarray):
    """A subclass, which may hold more than its items."""


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
    result = {"ht": HISTOGRAMS["hist"], "jets": ak.Array([[1, 2], [], [3]]), "n": {"ttbar": 3, "wjets": np.int64(5)}}
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


@pytest.mark.parametrize(
    "dtype",
    [
        np.dtype((np.record, [("pt", "f8"), ("eta", "f8")])),
        np.dtype([("jet", np.dtype((np.record, [("pt", "f8")])))]),
        np.dtype((np.dtype((np.record, [("pt", "f8")])), (2,))),
    ],
    ids=["rows", "a field", "a subarray"],
)
def test_rows_that_are_records_stay_records(dtype: np.dtype[Any]) -> None:
    """Their fields are attributes, as ``row.pt``; a type without them equals it."""

    def kinds(dtype: np.dtype[Any]) -> list[type]:
        return [dtype.base.type, *(kind for name in dtype.base.names or () for kind in kinds(dtype.base[name]))]

    array = np.zeros(3, dtype)
    _, back = roundtrip(array)
    assert kinds(back.dtype) == kinds(array.dtype)
