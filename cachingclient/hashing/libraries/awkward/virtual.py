"""The sources of lazy arrays that were read, so that reading a column does not change its identity.

A virtual buffer is known by its source until it is read. Whether a step that reads it runs or is loaded must not
show in the keys of the steps after it, so its source still names it afterwards, as long as its content is what
the source gave.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cachingclient.forks.children import free_in_children
from cachingclient.hashing.digest import digest

if TYPE_CHECKING:
    from cachingclient.hashing.identity import Noted

# By the buffer, not by the array: several virtual buffers may end in one array, each by a way of its own.
_read: dict[int, tuple[weakref.ref[Any], Reading, bytes]] = {}
_lock = free_in_children(threading.RLock())


class Reading:
    """Fills a virtual buffer as its generator does, and remembers what came from it.

    Parameters
    ----------
    generator
        What fills the buffer.
    buffer
        The virtual buffer.

    Attributes
    ----------
    noted
        The encoding of the source, once it is known.
    """

    __slots__ = ("generator", "key", "noted", "owner", "shape")

    def __init__(self, generator: Callable[[], Any], buffer: Any) -> None:
        self.generator = generator
        self.owner = id(buffer)
        self.shape = repr(buffer._shape)  # its property would read, to find out
        self.key = buffer.buffer_key or ""
        self.noted: Noted | None = None

    def __call__(self) -> Any:
        """Read the array from its source and return it."""
        array = self.generator()
        if type(array) is np.ndarray and not array.dtype.hasobject:
            owner = self.owner

            # The defaults outlive the module when the interpreter ends.
            def forget(reference: Any, read: Any = _read, lock: Any = _lock) -> None:
                with lock:
                    if owner in read and read[owner][0] is reference:
                        del read[owner]

            with _lock:
                _read[owner] = weakref.ref(array, forget), self, content_of(array)
        return array


def reading_of(buffer: Any) -> Reading | None:
    """Return how a virtual buffer is or was filled, None if it was read unseen or written to since."""
    if buffer.is_materialized:
        found = _read.get(id(buffer))
        unchanged = found is not None and found[0]() is buffer._array and found[2] == content_of(buffer._array)
        return found[1] if found is not None and unchanged else None
    generator = buffer._generator
    if not isinstance(generator, Reading) or generator.owner != id(buffer):
        buffer._generator = Reading(generator.generator if isinstance(generator, Reading) else generator, buffer)
    return buffer._generator


def was_read(buffer: Any) -> bool:
    """Tell whether the source that filled a virtual buffer is known."""
    found = _read.get(id(buffer))
    return found is not None and found[0]() is buffer._array


def content_of(array: Any) -> bytes:
    """Return the digest of an array's numbers."""
    return digest(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
