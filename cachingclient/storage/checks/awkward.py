"""Forms and buffers of awkward arrays: each buffer is as long as its form says, and each index leads to something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cachingclient.storage.checks.arrays import check_dtype, check_values, dtype_of
from cachingclient.storage.checks.budget import Budget, size
from cachingclient.storage.limits import UnsafeError

INTEGERS = {"i8": "<i1", "u8": "<u1", "i32": "<i4", "u32": "<u4", "i64": "<i8"}
PRIMITIVES = {"bool": "?", "int8": "i1", "int16": "<i2", "int32": "<i4", "int64": "<i8", "uint8": "u1"}
PRIMITIVES |= {"uint16": "<u2", "uint32": "<u4", "uint64": "<u8", "float16": "<f2", "float32": "<f4"}
PRIMITIVES |= {"float64": "<f8", "float128": "<f16", "complex64": "<c8", "complex128": "<c16", "complex256": "<c32"}
TEXTS = {"string": "char", "bytestring": "byte"}
NAMED = {*TEXTS, *TEXTS.values(), "categorical", "sorted_map"}
_POINTER = 8  # bytes that an operation may take for an item that has none itself

Form = Mapping[str, Any]


class Layout:
    """Follows a form down, with the buffers that it needs.

    Parameters
    ----------
    buffers
        By their names.
    budget
        What the array may take: rows without bytes of their own count as much as those of numbers.
    """

    def __init__(self, buffers: Mapping[str, Any], budget: Budget) -> None:
        self.buffers = buffers
        self.budget = budget

    def check(self, form: Form, length: object) -> None:
        """Check an array of this form and length.

        Raises
        ------
        UnsafeError
            A buffer is missing or too short, an index leads beyond what there is, or the form is not one of awkward's.
        """
        rows = size(length, "the length of an awkward array")
        self.budget.limits.allow(rows * _POINTER, "an awkward array")
        self.budget.count(1)
        check = CLASSES.get(form["class"]) if isinstance(form, dict) and isinstance(form.get("class"), str) else None
        if check is None:
            raise UnsafeError(f"an awkward array has a form of no known class: {str(form)[:60]}")
        _check_name(form)
        check(self, form, rows)

    def numpy(self, form: Form, rows: int) -> None:
        dtype = _primitive(form["primitive"])
        inner = [size(each, "an inner length") for each in form.get("inner_shape", ())]
        count = rows
        for each in inner:
            count *= each
        array = self._buffer(form, "data", dtype, count)
        check_values(array)

    def empty(self, form: Form, rows: int) -> None:
        if rows:
            raise UnsafeError("an empty array has rows")

    def list_offset(self, form: Form, rows: int) -> None:
        offsets = self._buffer(form, "offsets", INTEGERS[form["offsets"]], rows + 1)
        if offsets[0] < 0 or (rows and bool((offsets[1:] < offsets[:-1]).any())):
            raise UnsafeError("the offsets of an awkward array go backwards")
        self.check(form["content"], int(offsets[-1]))

    def regular(self, form: Form, rows: int) -> None:
        self.check(form["content"], rows * size(form["size"], "a list's length"))

    def indexed(self, form: Form, rows: int) -> None:
        index = self._buffer(form, "index", INTEGERS[form["index"]], rows)
        if rows and index.min() < 0:
            raise UnsafeError("an index of an awkward array is negative")
        self.check(form["content"], int(index.max()) + 1 if rows else 0)

    def indexed_option(self, form: Form, rows: int) -> None:
        index = self._buffer(form, "index", INTEGERS[form["index"]], rows)
        self.check(form["content"], max(int(index.max()), -1) + 1 if rows else 0)

    def byte_masked(self, form: Form, rows: int) -> None:
        self._buffer(form, "mask", INTEGERS[form["mask"]], rows)
        _check_truth(form, "valid_when")
        self.check(form["content"], rows)

    def bit_masked(self, form: Form, rows: int) -> None:
        self._buffer(form, "mask", INTEGERS[form["mask"]], (rows + 7) // 8)
        _check_truth(form, "valid_when", "lsb_order")
        self.check(form["content"], rows)

    def unmasked(self, form: Form, rows: int) -> None:
        self.check(form["content"], rows)

    def record(self, form: Form, rows: int) -> None:
        names, contents = form.get("fields"), form["contents"]
        if not isinstance(contents, list) or (names is not None and not _are_texts(names, len(contents))):
            raise UnsafeError("the fields of an awkward record are no list of names")
        for content in contents:
            self.check(content, rows)

    def union(self, form: Form, rows: int) -> None:
        tags = self._buffer(form, "tags", INTEGERS[form["tags"]], rows)
        index = self._buffer(form, "index", INTEGERS[form["index"]], rows)
        contents = form["contents"]
        if not isinstance(contents, list):
            raise UnsafeError("the contents of an awkward union are no list")
        if rows and (tags.min() < 0 or tags.max() >= len(contents) or index.min() < 0):
            raise UnsafeError("a tag or an index of an awkward union leads nowhere")
        for tag, content in enumerate(contents):
            mine = index[tags == tag]
            self.check(content, int(mine.max()) + 1 if len(mine) else 0)

    def _buffer(self, form: Form, role: str, dtype: Any, count: int) -> npt.NDArray[Any]:
        """Return a buffer that has as many items as are needed."""
        kind = np.dtype(dtype)
        name = f"{form['form_key']}-{role}"
        frame = self.buffers.get(name)
        if frame is None or frame.nbytes < count * kind.itemsize:
            raise UnsafeError(f"buffer {name[:40]!r} of an awkward array is too short, or not there")
        return np.frombuffer(frame, kind, count)


CLASSES: dict[str, Callable[[Layout, Form, int], None]] = {
    "NumpyArray": Layout.numpy,
    "EmptyArray": Layout.empty,
    "ListOffsetArray": Layout.list_offset,
    "RegularArray": Layout.regular,
    "IndexedArray": Layout.indexed,
    "IndexedOptionArray": Layout.indexed_option,
    "ByteMaskedArray": Layout.byte_masked,
    "BitMaskedArray": Layout.bit_masked,
    "UnmaskedArray": Layout.unmasked,
    "RecordArray": Layout.record,
    "UnionArray": Layout.union,
}


def _primitive(name: Any) -> Any:
    """Return the type of numbers by awkward's name for it."""
    if isinstance(name, str) and name.startswith(("datetime64", "timedelta64")):
        return check_dtype(dtype_of({"d": "<M8", "t": "<m8"}[name[0]] + name.partition("64")[2]))
    try:
        return np.dtype(PRIMITIVES[name])
    except (KeyError, TypeError):
        raise UnsafeError(f"an awkward array has numbers of type {str(name)[:40]!r}") from None


def _check_name(form: Form) -> None:
    """Check what `__array__` makes of a form: texts are lists of bytes, and only known names mean anything."""
    name = _name(form)
    if name is None:
        return
    if name not in NAMED:
        raise UnsafeError(f"an awkward array is a {str(name)[:40]!r}, which is none of its kinds")
    kind = form["class"]
    if name in TEXTS and (kind not in ("ListOffsetArray", "RegularArray") or _name(form["content"]) != TEXTS[name]):
        raise UnsafeError("a text of an awkward array is no list of characters")
    is_bytes = kind == "NumpyArray" and form["primitive"] == "uint8" and not form.get("inner_shape")
    if name in TEXTS.values() and not is_bytes:
        raise UnsafeError("the characters of an awkward array are no bytes")


def _name(form: Form) -> Any:
    parameters = form.get("parameters") or {}
    return parameters.get("__array__")


def _check_truth(form: Form, *names: str) -> None:
    if not all(type(form[name]) is bool for name in names):
        raise UnsafeError(f"{' and '.join(names)} of an awkward array: takes true or false")


def _are_texts(names: Any, count: int) -> bool:
    return isinstance(names, list) and len(names) == count and all(isinstance(name, str) for name in names)
