"""Encodings of layouts that were looked at before: a step's events and jets are the arguments of many calls.

Notes
-----
Awkward never changes a layout, so its nodes are gone through once. What a program can write to is looked at each
time: the numbers in its buffers, parameters, and the list of a record's contents. Numbers are read once for an encoding
that is remembered: it is made of the very digests that are compared later.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from awkward._nplikes.virtual import VirtualNDArray

from cachingclient.hashing.libraries.awkward.nodes import buffers_of, is_numbers, layout_nodes
from cachingclient.hashing.libraries.awkward.virtual import content_of, reading_of
from cachingclient.hashing.memo import has_the_same_items, items_of
from cachingclient.hashing.objects import encode_unordered
from cachingclient.hashing.scalars import PLAIN
from cachingclient.hashing.walk import Walk

if TYPE_CHECKING:
    from cachingclient.hashing.identity import Noted

_TEXTS = frozenset({"string", "bytestring", "char", "byte"})


@dataclass(frozen=True, slots=True)
class _Seen:
    """The encoding of a layout, and the parts of the layout that may change."""

    layout: weakref.ref[Any]
    noted: Noted
    buffers: tuple[tuple[Any, object], ...]
    containers: tuple[tuple[Any, tuple[object, ...]], ...]
    nested: tuple[tuple[Any, bytes], ...]

    def still_holds(self, read: Collection[int] = ()) -> bool:
        """Tell whether nobody has written to the layout since; buffers with these numbers need not be read again."""
        return (
            all(has_the_same_items(container, held) for container, held in self.containers)
            and all(encode_unordered(parameters, Walk()) == then for parameters, then in self.nested)
            and all(_look(buffer) == then for buffer, then in self.buffers if id(buffer) not in read)
        )


_seen: dict[int, _Seen] = {}


def encoded_before(layout: Any, walk: Walk) -> bytes | None:
    """Return the encoding of a layout that was made before, None if there is none that still holds."""
    found = _seen.get(id(layout))
    if found is None or found.layout() is not layout or not found.still_holds():
        return None
    return walk.again(found.noted)


def encoded_now(layout: Any, walk: Walk, encode: Callable[[Any, Walk, Mapping[int, bytes]], bytes]) -> bytes:
    """Return the encoding of a layout, and remember it if it depends on nothing but what is looked at again.

    Parameters
    ----------
    layout
        The layout.
    walk
        Gets what the encoding depends on.
    encode
        Makes the encoding; it is given the digests of buffers by their `id`.
    """
    before = _what_may_change(layout)
    if before is None:
        return encode(layout, walk, {})
    digests = {id(buffer): look[0] for buffer, look in before[0] if isinstance(look, tuple) and is_numbers(buffer)}
    noted = walk.note(lambda alone: encode(layout, alone, digests))
    if noted is None:
        return encode(layout, walk, {})
    number = id(layout)

    def forget(reference: Any, seen: dict[int, _Seen] = _seen) -> None:
        # The default outlives the module when the interpreter ends.
        if number in seen and seen[number].layout is reference:
            del seen[number]

    seen = _Seen(weakref.ref(layout, forget), noted, *before)
    known = walk.again(noted) if seen.still_holds(digests) else None
    if known is None:
        return encode(layout, walk, {})
    _seen[number] = seen
    return known


def _what_may_change(layout: Any) -> tuple[Any, Any, Any] | None:
    """Return buffers, containers and nested parameters as they are; None where there is more that counts."""
    nodes = list(layout_nodes(layout))
    buffers = tuple((buffer, _look(buffer)) for buffer in buffers_of(layout))
    # Texts may name files.
    if any(look is None for _, look in buffers) or any(node.parameter("__array__") in _TEXTS for node in nodes):
        return None
    containers = [container for node in nodes for container in _containers(node)]
    nested = [node._parameters for node in nodes if node._parameters and not _is_flat(node._parameters)]
    return (
        buffers,
        tuple((container, tuple(items_of(container))) for container in containers),
        tuple((parameters, encode_unordered(parameters, Walk())) for parameters in nested),
    )


def _containers(node: Any) -> Iterator[Any]:
    """Yield the containers of a node that a program could write to."""
    if node._parameters and _is_flat(node._parameters):
        yield node._parameters
    yield from (found for name in ("_contents", "_fields") if (found := getattr(node, name, None)) is not None)


def _is_flat(parameters: Any) -> bool:
    return all(type(part) in PLAIN for part in chain(parameters, parameters.values()))


def _look(buffer: Any) -> object:
    """Return the source of a buffer's numbers, or their digest; None if neither can be had."""
    # The class is a protocol, and asking whether something is one of these takes as long as the digest of 20 kB.
    if type(buffer) is not np.ndarray and isinstance(buffer, VirtualNDArray):
        reading = reading_of(buffer)
        if reading is not None:
            return reading
        buffer = buffer._array
    if type(buffer) is not np.ndarray or buffer.dtype.hasobject:
        return None
    return content_of(buffer), buffer.shape, buffer.dtype
