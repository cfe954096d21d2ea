"""NumPy values: content, type and shape count; how the memory lies counts as far as a pickle keeps it."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from cachingclient.hashing.libraries.numpy import encode_array
from cachingclient.hashing.walk import Walk
from tests.support.copies import COPIES, digest

GOLDEN = {
    "np.arange(5)": "2801430428026905062804733c6938108f77a1419c642a047040c80acf53e904",
    "np.arange(6.0).reshape(2, 3)": "2801430728026902026903062804733c6638109dce0bd683b92461232e2d9499132956",
    "np.arange(6.0).reshape(3, 2).T": "2801460728026902026903062804733c6638109dce0bd683b92461232e2d9499132956",
    "np.array(['Jet', 'MET'])": "2801430428026902062804733c553310023e858873baf23ce58442882572fb19",
    "np.array([1, 'a', None], dtype=object)": "2801430428026903052803737c4f096c026901027361014e",
    "np.array('2026-01-01', dtype='M8[D]')": "2801430128092807733c4d385b445d10e3516c32c3b8b1ef068a94b9215e36a6",
    "np.zeros(3, dtype=[('a', 'i4'), ('b', 'f8', 2)])": "2328f80d45829886abaa7bb03fa25f7f8ecb",
    "np.arange(10)[::3]": "2801430428026904062804733c693810575feddb5518d95d62c3eef5103bd262",
}
"""Encodings of arrays in the canonical form, version 1."""


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_canonical_form_of_arrays_never_changes_unnoticed(seed: str) -> None:
    """Fresh interpreters give the encodings written down here."""
    program = (
        "import json, sys\nimport numpy as np\nfrom cachingclient.hashing.libraries.numpy import encode_array\n"
        "from cachingclient.hashing.walk import Walk\n"
        "print(json.dumps({text: encode_array(eval(text), Walk()).hex() for text in json.loads(sys.argv[1])}))"
    )
    environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))}
    command = [sys.executable, "-c", program, json.dumps(list(GOLDEN))]
    found = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    assert json.loads(found) == GOLDEN


arrays = npst.arrays(
    dtype=st.one_of(
        npst.scalar_dtypes(),
        npst.unicode_string_dtypes(max_len=4),
        npst.byte_string_dtypes(max_len=4),
        npst.array_dtypes(npst.scalar_dtypes(), max_size=3),
    ),
    shape=npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


@settings(max_examples=200)
@given(arrays, st.sampled_from(sorted(COPIES)))
def test_a_copy_of_any_array_has_its_identity(values: np.ndarray[Any, Any], way: str) -> None:
    """Arrays of every type and shape survive every way of copying; only byte order is lost by some."""
    values = values.astype(values.dtype.newbyteorder("="))
    assert encode_array(COPIES[way](values), Walk()) == encode_array(values, Walk())


@given(npst.arrays(np.float64, npst.array_shapes(max_dims=2, min_side=1, max_side=30)), st.data())
def test_one_changed_element_shows(values: np.ndarray[Any, Any], data: st.DataObject) -> None:
    """Wherever a bit changes, the identity does."""
    changed = values.copy()
    position = data.draw(st.integers(0, values.size - 1))
    changed.flat[position] = 1.0 if values.flat[position] != 1.0 else 2.0
    assert encode_array(changed, Walk()) != encode_array(values, Walk())


@given(npst.arrays(np.int32, npst.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6)), st.data())
def test_a_view_is_its_elements(values: np.ndarray[Any, Any], data: st.DataObject) -> None:
    """A strided view has the identity of what a pickle makes of it."""
    view = values[data.draw(npst.basic_indices(values.shape, allow_newaxis=True))]
    if isinstance(view, np.ndarray):
        assert encode_array(view, Walk()) == encode_array(pickle.loads(pickle.dumps(view)), Walk())


DIFFERENT: dict[str, tuple[Any, Any]] = {
    "type": (np.arange(3, dtype="i4"), np.arange(3, dtype="i8")),
    "sign": (np.arange(3, dtype="i8"), np.arange(3, dtype="u8")),
    "byte order": (np.arange(3, dtype="<i4"), np.arange(3, dtype=">i4")),
    "shape": (np.zeros((2, 3)), np.zeros((3, 2))),
    "dimensions": (np.zeros(1), np.zeros(())),
    "memory order": (np.ones((2, 3)), np.asfortranarray(np.ones((2, 3)))),
    "empty shapes": (np.zeros((0, 2)), np.zeros((2, 0))),
    "unit": (np.array([1], "M8[s]"), np.array([1], "M8[ms]")),
    "time and duration": (np.array([1], "M8[s]"), np.array([1], "m8[s]")),
    "text width": (np.array(["a"]), np.array(["a"], "U2")),
    "field names": (np.zeros(2, [("a", "i4")]), np.zeros(2, [("b", "i4")])),
    "field order": (np.zeros(2, [("a", "i4"), ("b", "i4")]), np.zeros(2, [("b", "i4"), ("a", "i4")])),
    "scalar and number": (np.float64(1), 1.0),
    "scalar and array": (np.float64(1), np.array(1.0)),
    "scalar types": (np.float32(1), np.float64(1)),
    "array and list": (np.array([1, 2]), [1, 2]),
    "mask": (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[1, 0])),
    "under the mask": (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 3], mask=[0, 1])),
    "fill value": (np.ma.array([1, 2], fill_value=7), np.ma.array([1, 2], fill_value=8)),
    "masked and not": (np.ma.array([1, 2]), np.array([1, 2])),
    "matrix": (np.zeros((1, 1)).view(np.matrix), np.zeros((1, 1))),
    "record array": (np.rec.array([(1, 2)]), np.array([(1, 2)], [("f0", "i8"), ("f1", "i8")])),
    "generators": (np.random.default_rng(1), np.random.default_rng(2)),
    "generator kinds": (np.random.Generator(np.random.PCG64(1)), np.random.Generator(np.random.MT19937(1))),
    "old generators": (np.random.RandomState(1), np.random.RandomState(2)),
    "ufuncs": (np.sin, np.cos),
    "types": (np.dtype("f4"), np.dtype("f8")),
    "missing strings": (
        np.array(["a"], np.dtypes.StringDType()),
        np.array(["a"], np.dtypes.StringDType(na_object=None)),
    ),
    "objects": (np.array([1, "a"], object), np.array([1, "b"], object)),
    "vectorised": (np.vectorize(abs), np.vectorize(hex)),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_a_program_can_tell_apart_differs(name: str) -> None:
    """Everything a program can see of an array counts."""
    one, other = DIFFERENT[name]
    assert digest(one) != digest(other)


@pytest.mark.parametrize("name", sorted(DIFFERENT.keys() - {"byte order"}))
@pytest.mark.parametrize("way", COPIES)
def test_copies_of_all_kinds_are_equal(name: str, way: str) -> None:
    """Masked arrays, generators, types and functions survive copying too."""
    for value in DIFFERENT[name]:
        assert digest(COPIES[way](value)) == digest(value)


def test_padding_does_not_count() -> None:
    """What lies between the fields of an aligned structure means nothing."""
    aligned = np.dtype([("a", "u1"), ("b", "f8")], align=True)
    digests = set()
    for garbage in (0, 255):
        values = np.full(4 * aligned.itemsize, garbage, "u1").view(aligned)
        values["a"], values["b"] = 1, 2.0
        digests.add(digest(values))
    assert len(digests) == 1


def test_padding_of_long_doubles_does_not_count() -> None:
    """An 80-bit number in 16 bytes is its 80 bits."""
    size = np.dtype(np.longdouble).itemsize
    digests = set()
    for garbage in (0, 255):
        values = np.full(3 * size, garbage, "u1").view(np.longdouble)
        values[:] = np.longdouble(1) / 3
        raw = values.view("u1").reshape(3, size)
        raw[:, 10:] = garbage if np.finfo(np.longdouble).nmant == 63 else raw[:, 10:]
        digests.add(digest(values))
    assert len(digests) == 1


def test_a_mask_without_a_true_in_it_is_no_mask() -> None:
    """A pickle turns the one into the other."""
    assert digest(np.ma.array([1, 2])) == digest(np.ma.array([1, 2], mask=[False, False]))


def test_asking_for_a_fill_value_changes_nothing() -> None:
    """The default fill value is set on first use; that is no change of the array."""
    values = np.ma.array([1.5, 2.5])
    before = digest(values)
    assert values.fill_value == 1e20
    assert digest(values) == before


def test_a_mapped_file_is_its_content(tmp_path: Path) -> None:
    """A memory map has one identity wherever its file lies."""
    for name in ("a", "b"):
        np.arange(5).tofile(tmp_path / name)
    one, other = (np.memmap(tmp_path / name, np.int64) for name in ("a", "b"))
    assert digest(one) == digest(other)
    assert digest(one) != digest(np.memmap(tmp_path / "a", np.int64, shape=(4,)))


def test_large_strided_arrays_are_read_in_pieces() -> None:
    """A view that is larger than one piece has the identity of its copy."""
    whole = np.arange(4_000_000, dtype="i8").reshape(2000, 2000)
    view = whole[::-1, ::2]
    assert digest(view) == digest(np.ascontiguousarray(view))
    assert digest(whole.T) == digest(np.asfortranarray(whole.T))


def test_a_repeated_number_is_not_spread_out() -> None:
    """A broadcast array has the identity of the array it stands for."""
    assert digest(np.broadcast_to(np.float64(1), (1000, 1000))) == digest(np.ones((1000, 1000)))


def test_arrays_of_texts_name_files_too(tmp_path: Path) -> None:
    """A list of files may well be an array."""
    file = tmp_path / "a.txt"
    file.write_text("1")
    values = [np.array([str(file), "b"]), np.array([str(file)], object), np.array([str(file)], np.dtypes.StringDType())]
    before = [identify(value) for value in values]
    assert [len(identity.inputs) for identity in before] == [1, 1, 1]
    file.write_text("2")
    assert all(identify(value).inputs != identity.inputs for value, identity in zip(values, before, strict=True))


def test_a_generator_moves_on() -> None:
    """Drawing a number is a change of state."""
    generator = np.random.default_rng(1)
    before = digest(generator)
    generator.random()
    assert digest(generator) != before


class Tagged(np.ndarray[Any, Any]):
    """An array with an attribute."""


def test_a_subclass_counts_by_its_class_and_attributes() -> None:
    """What a class adds to an array is seen."""
    plain = np.arange(3)
    one, other = plain.view(Tagged), plain.view(Tagged)
    assert digest(one) == digest(other) != digest(plain)
    other.tag = "x"  # type: ignore[attr-defined]
    assert digest(one) != digest(other)


def test_a_function_that_numpy_has_swallowed_has_no_identity() -> None:
    """The Python inside np.frompyfunc can't be seen."""
    with pytest.raises(Unidentifiable, match="whose Python function can't be seen"):
        identify(np.frompyfunc(lambda x: x, 1, 1))


def test_calling_a_vectorised_function_changes_nothing() -> None:
    """The compiled form that np.vectorize keeps does not count."""
    function = np.vectorize(abs, otypes=[float])
    before = digest(function)
    function([1, -1])
    assert digest(function) == before


def test_an_open_archive_is_named(tmp_path: Path) -> None:
    """An npz file that is still open has no identity."""
    np.savez(tmp_path / "a.npz", a=np.arange(3))
    with np.load(tmp_path / "a.npz") as archive, pytest.raises(Unidentifiable, match="an open archive"):
        identify(archive)
