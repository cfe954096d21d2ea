"""NumPy arrays, masked arrays and scalars of every type whose bytes are its value (objects are pickled)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import numpy as np

from cachingclient.storage.checks.arrays import check_dtype, check_shape, check_values, dtype_of
from cachingclient.storage.limits import UnsafeError

NAME = "numpy"
VERSION = 1
LIBRARIES = ("numpy",)


def encode(value: Any, writer: Any) -> dict[str, Any] | None:
    """Describe an array (C or Fortran order is kept), a masked array or a scalar."""
    kind = type(value)
    if kind is np.ndarray:
        return _encode_array(value, writer)
    if kind.__module__.startswith("numpy.ma") and kind is np.ma.MaskedArray:  # naming it imports it
        return _encode_masked(value, writer)
    if isinstance(value, np.generic) and not isinstance(value, (np.void, np.object_)):
        array = np.asarray(value)
        descr = _describe(array.dtype)
        if descr is not None and type(array[()]) is kind:
            return {"dtype": descr, "scalar": b64encode(array.tobytes()).decode()}
    if isinstance(value, np.dtype):
        descr = _describe(value)
        return None if descr is None else {"the_dtype": descr}
    return None


def decode(node: dict[str, Any], reader: Any) -> Any:
    """Lay an array on its frame, or build a scalar."""
    if "masked" in node:
        return _masked(node, reader)
    if "the_dtype" in node:
        return check_dtype(_dtype(node["the_dtype"]))
    dtype = check_dtype(_dtype(node["dtype"]))
    if "scalar" in node:
        data = b64decode(node["scalar"])
        check_shape([], dtype, len(data))
        return _sound(np.frombuffer(data, dtype), reader)[0]
    frame = reader.frame(node["frame"])
    return _sound(
        np.ndarray(check_shape(node["shape"], dtype, frame.nbytes), dtype, frame, order=node["order"]), reader
    )


def _masked(node: dict[str, Any], reader: Any) -> Any:
    data = decode(node["masked"], reader)
    mask = np.ma.nomask if node["mask"] is None else decode(node["mask"], reader)
    if mask is not np.ma.nomask and (mask.dtype != np.dtype("?") or mask.shape != data.shape):
        raise UnsafeError("a mask is not as large as what it masks")
    masked = np.ma.MaskedArray(data, mask=mask, hard_mask=node["hard"], copy=False)
    if node["fill"] is not None:
        masked.fill_value = decode(node["fill"], reader)[()]
    return masked


def _sound(array: Any, reader: Any) -> Any:
    """The array, looked through where anyone may have written it."""
    return check_values(array) if reader.data_only else array


def _encode_array(array: Any, writer: Any) -> dict[str, Any] | None:
    descr = _describe(array.dtype)
    if descr is None:
        return None
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    flat = (array.T if fortran else np.ascontiguousarray(array)).reshape(-1).view(np.uint8)
    order = "F" if fortran else "C"
    return {"dtype": descr, "shape": list(array.shape), "order": order, "frame": writer.frame(flat)}


def _encode_masked(array: Any, writer: Any) -> dict[str, Any] | None:
    if array.dtype.names or type(array.data) is not np.ndarray or array._optinfo:
        return None
    data = _encode_array(array.data, writer)
    fill = None if array._fill_value is None else _encode_array(np.asarray(array._fill_value), writer)
    if data is None or (fill is None and array._fill_value is not None):
        return None
    mask = None if array.mask is np.ma.nomask else _encode_array(array.mask, writer)
    return {"masked": data, "mask": mask, "fill": fill, "hard": bool(array.hardmask)}


def _describe(dtype: Any) -> Any:
    """The type as JSON, or None if it would not come back equal."""
    if dtype.hasobject or dtype.itemsize == 0 or dtype.metadata or _has_records(dtype):
        return None
    descr = dtype.str if dtype.names is None and dtype.subdtype is None else _fields(dtype)
    try:
        back = _dtype(descr)
    except (TypeError, ValueError):  # also what is no data
        return None
    return descr if back == dtype and back.isalignedstruct == dtype.isalignedstruct else None


def _has_records(dtype: Any) -> bool:
    """Whether the rows have their fields as attributes too, which a type that equals it need not give them."""
    if dtype.subdtype is not None:
        return _has_records(dtype.base)
    is_other = dtype.kind == "V" and dtype.type is not np.void
    return is_other or any(_has_records(dtype.fields[name][0]) for name in dtype.names or ())


def _fields(dtype: Any) -> Any:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return {"base": _fields(base), "shape": list(shape)}
    if dtype.names is None:
        return dtype.str
    return {
        "names": list(dtype.names),
        "formats": [_fields(dtype.fields[name][0]) for name in dtype.names],
        "offsets": [dtype.fields[name][1] for name in dtype.names],
        "itemsize": dtype.itemsize,
        "aligned": dtype.isalignedstruct,
    }


def _dtype(descr: Any) -> Any:
    if isinstance(descr, str):
        return dtype_of(descr)
    if "base" in descr:
        return np.dtype((_dtype(descr["base"]), tuple(descr["shape"])))
    layout: Any = {name: descr[name] for name in ("names", "offsets", "itemsize")}
    layout["formats"] = [_dtype(inner) for inner in descr["formats"]]
    return np.dtype(layout, align=descr["aligned"])
