"""Awkward arrays: form and content count, offsets into buffers do not, and what is not read yet stays unread."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest
from coffea.nanoevents.methods import nanoaod
from hypothesis import given
from hypothesis import strategies as st

from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from tests.support.copies import COPIES, digest


class PointArray(ak.Array):
    """The array class of a behavior."""

    def radius(self) -> Any:
        """Return the distance from the origin."""
        return np.sqrt(self.x**2 + self.y**2)


POINTS = [{"x": 1.0, "y": 2.0}, {"x": 3.0, "y": 4.0}]

ARRAYS: dict[str, Callable[[], Any]] = {
    "numbers": lambda: ak.Array([1, 2, 3]),
    "other numbers": lambda: ak.Array([1, 2, 4]),
    "floats": lambda: ak.Array([1.0, 2.0, 3.0]),
    "single precision": lambda: ak.Array(np.array([1, 2, 3], "f4")),
    "lists": lambda: ak.Array([[1, 2], [], [3]]),
    "lists cut elsewhere": lambda: ak.Array([[1], [2], [3]]),
    "regular": lambda: ak.Array(np.arange(6).reshape(2, 3)),
    "regular of another size": lambda: ak.Array(np.arange(6).reshape(3, 2)),
    "records": lambda: ak.Array(POINTS),
    "other fields": lambda: ak.Array([{"x": 1.0, "z": 2.0}, {"x": 3.0, "z": 4.0}]),
    "named records": lambda: ak.Array(POINTS, with_name="Point"),
    "other named records": lambda: ak.Array(POINTS, with_name="Vector"),
    "records with a behavior": lambda: ak.Array(POINTS, with_name="Point", behavior={("*", "Point"): PointArray}),
    "parameters": lambda: ak.with_parameter(ak.Array([1, 2, 3]), "__doc__", "momentum"),
    "attributes": lambda: ak.Array([1, 2, 3], attrs={"unit": "GeV"}),
    "text": lambda: ak.Array(["a", "bc"]),
    "text cut elsewhere": lambda: ak.Array(["ab", "c"]),
    "missing": lambda: ak.Array([1, None, 3]),
    "missing elsewhere": lambda: ak.Array([None, 1, 3]),
    "unions": lambda: ak.Array([1, "a", [2]]),
    "categories": lambda: ak.str.to_categorical(ak.Array(["a", "b", "a"])),
    "empty": lambda: ak.Array([]),
    "a record": lambda: ak.Array(POINTS)[0],
    "another record": lambda: ak.Array(POINTS)[1],
    "a layout": lambda: ak.Array([1, 2, 3]).layout,
    "a form": lambda: ak.Array([1, 2, 3]).layout.form,
    "a typetracer": lambda: ak.Array(ak.Array([1, 2, 3]).layout.to_typetracer()),
}


def test_whatever_changes_shows() -> None:
    """Every change gives another identity, and arrays made again have the same one."""
    digests = {name: digest(make()) for name, make in ARRAYS.items()}
    assert len(set(digests.values())) == len(digests)
    assert {name: digest(make()) for name, make in ARRAYS.items()} == digests


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", sorted(ARRAYS.keys() - {"a typetracer", "a layout"}))
def test_a_copy_has_the_identity_of_the_original(name: str, way: str) -> None:
    """Arrays, records and forms survive copying."""
    value = ARRAYS[name]()
    assert digest(COPIES[way](value)) == digest(value)


nested = st.lists(st.lists(st.none() | st.integers(0, 9), max_size=4), min_size=1, max_size=8)


@given(nested, st.data())
def test_offsets_do_not_count(values: list[Any], data: st.DataObject) -> None:
    """A slice and a selection have the identity of the array made anew."""
    array = ak.Array([[1, None], *values])[1:]
    positions = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=5))
    chosen = ak.drop_none(array, axis=1)[np.array(positions, dtype=np.int64)]
    made = ak.Array([[item for item in values[position] if item is not None] for position in positions])
    if ak.type(chosen) == ak.type(made):
        assert digest(chosen) == digest(made)
    assert digest(array) == digest(ak.Array([[1, None], *values])[1:])


@given(nested, nested)
def test_arrays_that_differ_have_different_identities(one: list[Any], other: list[Any]) -> None:
    """Two arrays with unequal elements are told apart."""
    if one != other:
        assert digest(ak.Array(one)) != digest(ak.Array(other))


def test_an_edited_behavior_shows() -> None:
    """The code of a behavior's class is part of what the array can do."""

    def make(factor: float) -> Any:
        class Scaled(ak.Array):
            def scaled(self) -> Any:
                return self.x * factor

        return ak.Array(POINTS, with_name="Point", behavior={("*", "Point"): Scaled})

    assert digest(make(1.0)) == digest(make(1.0))
    assert digest(make(1.0)) != digest(make(2.0))


def test_a_global_behavior_of_the_user_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class registered for a record's name changes what its arrays can do."""
    before = digest(ak.Array(POINTS, with_name="MyPoint"))
    monkeypatch.setitem(ak.behavior, ("MyPoint", "helper"), PointArray.radius)
    assert digest(ak.Array(POINTS, with_name="MyPoint")) != before
    assert digest(ak.Array(POINTS, with_name="YourPoint")) == digest(ak.Array(POINTS, with_name="YourPoint"))


FORM = ak.Array([1, 2, 3]).layout.form_with_key("node{id}")


def read(number: int) -> np.ndarray[Any, Any]:
    """Fill a virtual buffer; asking for an identity must never come here."""
    raise AssertionError("a virtual buffer was read")


def virtual(number: int, reader: Callable[[int], Any] = read) -> Any:
    """Return an array that is read when needed."""
    return ak.from_buffers(FORM, 10, {"node0-data": lambda: reader(number)})


def test_a_virtual_array_is_not_read() -> None:
    """What it will hold is told by what will fill it."""
    assert digest(virtual(1)) == digest(virtual(1))
    assert digest(virtual(1)) != digest(virtual(2))


def test_slices_of_a_virtual_array_differ() -> None:
    """Parts of equal length have the same buffer key and are not the same."""
    array = virtual(1)
    assert digest(array[:5]) == digest(virtual(1)[:5])
    assert digest(array[:5]) != digest(array[5:])
    assert digest(array[:5][1:]) != digest(array[:5][:4])


def test_a_view_of_a_virtual_buffer_differs() -> None:
    """The same bytes as another type are other values."""
    buffer = virtual(1).layout.data
    assert digest(ak.contents.NumpyArray(buffer)) != digest(ak.contents.NumpyArray(buffer.view(np.float64)))


def test_reading_a_virtual_array_does_not_change_it() -> None:
    """Whether a step ran or was loaded must not show in what it has read."""
    array = virtual(1, np.arange(10).__add__)
    before = digest(array)
    assert ak.sum(array) == 55
    assert digest(array) == before
    sliced = virtual(1, np.arange(10).__add__)[2:]
    before = digest(sliced)
    assert ak.sum(sliced) == 52
    assert digest(sliced) == before


def test_writing_to_a_virtual_array_changes_it() -> None:
    """A buffer that is no longer what its source gave counts by its content."""
    array = virtual(1, np.arange(10).__add__)
    before = digest(array)
    np.asarray(ak.materialize(array).layout.data)[3] = 99
    assert ak.sum(array) == 150
    assert digest(array) != before


def test_a_virtual_array_that_was_read_unseen_is_its_content() -> None:
    """Nobody knows whether it is still what its source gave."""
    array = virtual(1, np.arange(10).__add__)
    assert ak.sum(array) == 55
    assert digest(array) == digest(ak.Array(np.arange(10) + 1))


def test_virtual_arrays_of_different_length_differ() -> None:
    """The same reader may fill longer and shorter arrays."""
    arrays = [ak.from_buffers(FORM, length, {"node0-data": np.arange(10).copy}) for length in (5, 6)]
    assert digest(arrays[0]) != digest(arrays[1])


def test_a_copy_of_a_virtual_array_is_the_same() -> None:
    """Copying an array that is not read yet does not read it."""
    array = virtual(1)
    assert digest(copy.deepcopy(array)) == digest(array)


def test_virtual_arrays_put_together_differ() -> None:
    """What is made of several virtual arrays counts by each of them."""
    joined = [ak.concatenate([virtual(1), virtual(number)]) for number in (1, 2)]
    assert digest(joined[0]) != digest(joined[1])


def test_a_virtual_array_from_something_live_has_no_identity() -> None:
    """A reader that holds an open file can't be told from another."""
    with open(__file__) as file, pytest.raises(Unidentifiable, match="an open file"):
        identify(ak.from_buffers(FORM, 10, {"node0-data": lambda: file.read()}))


def test_a_user_s_overload_among_a_library_s_shows() -> None:
    """Also where it is put into the dictionary that was looked at before, or only says that it is the library's."""
    shared = dict(nanoaod.behavior)
    array = ak.Array(POINTS, behavior=shared)
    before = digest(array)
    assert digest(ak.Array(POINTS, behavior=dict(shared))) == before

    def make(factor: float) -> Callable[[Any], Any]:
        @functools.wraps(ak.num)
        def overload(points: Any) -> Any:
            return points.x * factor

        return overload

    seen = {before}
    key = ak.num, "Jet"
    for overload in (make(1.0), make(2.0), functools.partial(ak.num, axis=0), functools.partial(ak.num, axis=1)):
        shared[key] = overload
        seen.add(digest(array))
    assert len(seen) == 5
    shared[key] = make(1.0)
    assert digest(array) in seen
    del shared[key]
    assert digest(array) == before


def test_a_user_s_function_that_is_changed_in_its_place_shows() -> None:
    """What users define is looked at every time, though it stands among what a library does."""
    weights = [1.0]
    behavior = {**nanoaod.behavior, (np.add, "Jet", "Jet"): lambda one, other: weights[0] * one.x + other.x}
    array = ak.Array(POINTS, behavior=behavior)
    before = digest(array)
    weights[0] = 2.0
    assert digest(array) != before


def test_the_order_in_which_behaviors_were_merged_counts_not() -> None:
    """Arrays of two libraries meet in either order."""
    pairs = list(nanoaod.behavior.items())
    assert digest(ak.Array(POINTS, behavior=dict(pairs))) == digest(ak.Array(POINTS, behavior=dict(reversed(pairs))))
