"""NumPy's types and arrays: no objects, nothing beyond the bytes that there are."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from cachingclient.storage.checks.budget import size
from cachingclient.storage.limits import UnsafeError

_is_type = re.compile(r"[<>|=]?[?bhilqBHILQefdgFDGcmMSUVua][0-9]{0,10}(\[[0-9]{0,10}[A-Za-z]{1,7}\])?").fullmatch
KINDS = "biufcmMSUV"
MOST_DIMENSIONS = 32
LAST_CHARACTER = 0x10FFFF


def dtype_of(text: Any) -> Any:
    """Return the type that a plain text means.

    Raises
    ------
    UnsafeError
        Its values are not the bytes of an array, as those of objects and of texts of any length are not.

    Examples
    --------
    >>> dtype_of("<f8")
    dtype('float64')
    >>> dtype_of("O")
    Traceback (most recent call last):
    cachingclient.storage.limits.UnsafeError: an array of type 'O' is no data
    """
    if not isinstance(text, str) or not _is_type(text):
        raise UnsafeError(f"an array of type {str(text)[:40]!r} is no data")
    return np.dtype(text)


def check_dtype(dtype: Any) -> Any:
    """Return a type, whatever it is made of, if its values are nothing but bytes."""
    if dtype.hasobject or dtype.kind not in KINDS or dtype.itemsize == 0:
        raise UnsafeError(f"an array of type {dtype} is no data")
    return dtype


def check_shape(shape: Any, dtype: Any, nbytes: int) -> tuple[int, ...]:
    """Return a shape that takes exactly these bytes."""
    if not isinstance(shape, list) or len(shape) > MOST_DIMENSIONS:
        raise UnsafeError("a shape is no list of a few numbers")
    lengths = tuple(size(length, "a length") for length in shape)
    if math.prod(lengths) * dtype.itemsize != nbytes:
        raise UnsafeError(f"an array of shape {lengths} and type {dtype} does not take {nbytes:,} bytes")
    return lengths


def check_values(array: Any) -> Any:
    """Return an array whose bytes are values of its type: truth values are 0 or 1, characters are characters."""
    dtype = array.dtype
    if dtype.subdtype is not None or dtype.names:
        for name in dtype.names or ():
            check_values(array[name])
    elif dtype.kind == "b" and array.size and array.view("u1").max() > 1:
        raise UnsafeError("a truth value is neither 0 nor 1")
    elif dtype.kind == "U" and array.size:
        codes = np.ndarray((*array.shape, dtype.itemsize // 4), np.dtype("u4").newbyteorder(dtype.byteorder), array)
        if codes.max() > LAST_CHARACTER:
            raise UnsafeError("a text holds what is no character")
    return array
