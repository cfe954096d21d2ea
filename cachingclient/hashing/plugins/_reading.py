"""What was read from files behind lazy arrays, so that reading a column does not change what it is.

A virtual buffer is known by its source until it is read. Whether a step that reads it runs or is loaded must not
show in the keys of the steps after it, so its source still names it afterwards, as long as its content is what
the source gave.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from cachingclient.hashing.digest import digest

_read: dict[int, tuple[weakref.ref[Any], Reading, bytes]] = {}
_lock = threading.RLock()


class Reading:
    """Fills a virtual buffer as its generator does, and remembers what came from it.

    Parameters
    ----------
    generator
        What fills the buffer.
    shape
        What was known of the buffer's shape before it was read.
    key
        The buffer's key.
    """

    __slots__ = ("generator", "key", "shape")

    def __init__(self, generator: Callable[[], Any], shape: str, key: str) -> None:
        self.generator = generator
        self.shape = shape
        self.key = key

    def __call__(self) -> Any:
        """Return what the source gives."""
        array = self.generator()
        if type(array) is np.ndarray and not array.dtype.hasobject:
            ident = id(array)

            def forget(reference: Any) -> None:
                with _lock:
                    if ident in _read and _read[ident][0] is reference:
                        del _read[ident]

            with _lock:
                _read[ident] = weakref.ref(array, forget), self, _content(array)
        return array


def was_read(array: Any) -> bool:
    """Tell whether it is known which source an array was read from."""
    found = _read.get(id(array))
    return found is not None and found[0]() is array


def source_of(array: Any) -> Reading | None:
    """Return what an array was read from, None if that is unknown or the array was written to since."""
    found = _read.get(id(array))
    if found is None or found[0]() is not array or found[2] != _content(array):
        return None
    return found[1]


def _content(array: Any) -> bytes:
    return digest(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
