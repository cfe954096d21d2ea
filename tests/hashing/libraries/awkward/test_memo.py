"""Arrays that were looked at before are known again only as long as nobody has written to them."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest

from cachingclient.hashing.identify import identify
from cachingclient.hashing.libraries.awkward import hasher, memo


def jets() -> Any:
    """Packed records with parameters, in which all sorts of things can be written to."""
    columns = {"pt": ak.unflatten(np.arange(6.0), [2, 1, 3]), "eta": ak.unflatten(np.ones(6), [2, 1, 3])}
    array = ak.zip(columns, with_name="Jet")
    return ak.with_parameter(array, "metadata", {"files": ["a"]})


def afresh(array: Any) -> str:
    """The digest of an array that nobody has looked at."""
    memo._seen.clear()
    return identify(array).digest


def column(array: Any, name: str) -> Any:
    """The memory of a column."""
    return array.layout.content.content(name).data


def write_last(array: Any) -> None:
    column(array, "eta")[-1] = 7


CHANGES: dict[str, Callable[[Any], Any]] = {
    "a number": lambda array: column(array, "pt").__setitem__(0, 9.0),
    "the last number": write_last,
    "zero by minus zero": lambda array: column(array, "pt").__setitem__(0, -0.0),
    "an offset": lambda array: array.layout.offsets.data.__setitem__(1, 1),
    "a parameter": lambda array: array.layout.content._parameters.__setitem__("__record__", "Tau"),
    "a parameter added": lambda array: array.layout.content._parameters.__setitem__("unit", "GeV"),
    "a list deep in a parameter": lambda array: array.layout._parameters["metadata"]["files"].append("b"),
    "a name of a field": lambda array: array.layout.content._fields.__setitem__(0, "pt_raw"),
    "a column in a layout": lambda array: array.layout.content._contents.reverse(),
    "numbers of another type": lambda array: setattr(column(array, "pt"), "dtype", np.dtype("i8")),
    "a column of the array": lambda array: array.__setitem__("pt", array.pt * 2),
    "an attribute": lambda array: array.attrs.__setitem__("unit", "GeV"),
    "a behavior": lambda array: setattr(array, "behavior", {("*", "Jet"): type("Jets", (ak.Array,), {})}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_seen(change: str) -> None:
    """After any change in its place an array has the identity of one that was never looked at, another than before."""
    array = jets()
    before = identify(array).digest
    assert id(array.layout) in memo._seen
    assert identify(array).digest == before == afresh(copy.deepcopy(array))
    CHANGES[change](array)
    after = identify(array).digest
    assert after != before
    assert after == afresh(array)


def test_nothing_is_held_alive() -> None:
    """What is known of an array goes with it, and the next one at its place in memory is looked at."""
    array = jets()
    digest, number = identify(array).digest, id(array.layout)
    del array
    gc.collect()
    assert number not in memo._seen
    others = [ak.Array(np.arange(count)) for count in range(50)]
    assert len({identify(other).digest for other in others} | {digest}) == 51


def test_parts_of_large_arrays_are_not_remembered() -> None:
    """A slice would be known again only by a look at all of the memory that it is cut from."""
    array = ak.Array(np.arange(1000).reshape(10, 100))[:, ::2]
    identify(array)
    assert id(array.layout) not in memo._seen


def test_what_a_user_fills_arrays_from_is_looked_at_each_time() -> None:
    """A virtual array that is not read yet changes with what it will be filled from."""
    source = np.arange(10)
    form = ak.Array([1, 2, 3]).layout.form_with_key("node{id}")
    array = ak.from_buffers(form, 10, {"node0-data": source.copy})
    sliced = array[2:]
    before = identify(array).digest, identify(sliced).digest
    assert before == (identify(array).digest, identify(sliced).digest)
    source[5] = 99
    assert identify(array).digest != before[0]
    assert identify(sliced).digest != before[1]


def test_texts_are_looked_at_each_time(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text may name a file that changes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("one")
    array = ak.Array(["a.txt", "b"])
    before = identify(array).inputs
    assert [seen.url for seen in before] == [str(tmp_path / "a.txt")]
    (tmp_path / "a.txt").write_text("two")
    assert identify(array).inputs != before


def test_a_write_while_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another thread writes between the digests and the encoding counts at the next look at the latest."""
    array, encode = jets(), hasher.encode_dtype

    def written_meanwhile(*of: Any) -> bytes:
        column(array, "pt")[0] = 9.0
        return encode(*of)

    monkeypatch.setattr(hasher, "encode_dtype", written_meanwhile)
    before = identify(array).digest
    monkeypatch.undo()
    assert identify(array).digest == afresh(array) != before


@pytest.mark.parametrize("kind", ["?", "i1", "u8", "f2", "f8", "c8", "g", "M8[s]", "m8[ns]"])
def test_remembered_and_packed_arrays_are_the_same(kind: str) -> None:
    """One that is remembered is made of digests, every second number of another is packed: equal ones are the same."""
    numbers = (np.arange(64) % 5).astype(kind)
    digest = identify(ak.Array(numbers[::2].copy())).digest
    assert digest == identify(ak.Array(numbers[::2])).digest != identify(ak.Array(numbers[1::2].copy())).digest
