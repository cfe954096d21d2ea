"""Canonical encodings of values, chosen by their type; pickles play no part."""

from __future__ import annotations

import array
from collections.abc import Callable, Collection
from types import CellType, ClassMethodDescriptorType, MethodWrapperType
from typing import Any
from weakref import WeakKeyDictionary

from cachingclient.hashing.code.functions import CODE_TYPES, encode_code
from cachingclient.hashing.digest import compact, digest, frame
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.mixins import steady_pairs
from cachingclient.hashing.objects import encode_input, encode_object, encode_pairs, encode_within, located
from cachingclient.hashing.registry import Hasher, find_hasher, on_registration, unpack
from cachingclient.hashing.scalars import PLAIN, encode_str
from cachingclient.hashing.walk import Walk, encode_values_by

_PACKED_FROM = 32
"""Lists longer than this are tried as packed numbers or text first."""
_CODE = (*CODE_TYPES, CellType, ClassMethodDescriptorType, MethodWrapperType)

_builtin_encoders: dict[type, Hasher] = {}
_encoders: WeakKeyDictionary[type, Hasher] = WeakKeyDictionary()
on_registration(_builtin_encoders.clear)
on_registration(_encoders.clear)


@encode_values_by
def encode_value(obj: object, walk: Walk) -> bytes:
    """Return the canonical encoding of an object that `PLAIN` doesn't settle.

    Called through `Walk.encode`, which knows what was encoded before and what is being encoded now.
    """
    cls = type(obj)
    encoder = _builtin_encoders.get(cls) or _encoders.get(cls)
    if encoder is None:
        encoder = _find_encoder(cls)
        # Only classes made at run time may go away again; for the others a plain dictionary is faster.
        (_builtin_encoders if cls in CONTAINERS else _encoders)[cls] = encoder
    return encoder(obj, walk)


def _find_encoder(cls: type) -> Hasher:
    if _has_own_token(cls):
        return _encode_by_token
    if (hasher := find_hasher(cls)) is not None:
        return _with_class(hasher)
    if issubclass(cls, _CODE):
        return _encode_class_or_code if issubclass(cls, type) else encode_code
    if (container := CONTAINERS.get(cls)) is not None:
        return container
    if issubclass(cls, (set, frozenset)) and cls.__reduce__ in (set.__reduce__, frozenset.__reduce__):
        return _encode_set_subclass
    return encode_object


def _with_class(hasher: Hasher) -> Hasher:
    def encode_registered(obj: object, walk: Walk) -> bytes:
        kind = walk.encode(type(obj))
        try:
            return frame(b"&", [kind, compact(b"=", hasher(obj, walk))])
        except (Unidentifiable, RecursionError):
            raise
        except Exception as error:
            # A hasher that fails, here or in a library's next release, must not take the analysis with it.
            raise Unidentifiable(f"{type(obj).__qualname__} that could not be looked at ({error!r})") from error

    return encode_registered


def _has_own_token(cls: type) -> bool:
    """Whether instances answer for their own identity; a plain class attribute only speaks for the class."""
    token = getattr(cls, "__cache_token__", None)
    return callable(token) or hasattr(type(token), "__get__")


def _encode_by_token(obj: Any, walk: Walk) -> bytes:
    token = obj.__cache_token__
    if callable(token):
        token = token()
    name = type(obj).__qualname__
    return frame(b"T", [walk.encode(type(obj)), encode_within(token, walk, f"in __cache_token__ of {name}")])


def _encode_class_or_code(cls: Any, walk: Walk) -> bytes:
    """Return the encoding of a class: by hand if its own body says so, else by its code."""
    token = vars(cls).get("__cache_token__")
    if token is None or callable(token) or hasattr(type(token), "__get__"):
        return encode_code(cls, walk)
    return frame(b"T", [encode_str(cls.__module__), encode_str(cls.__qualname__), walk.encode(token)])


def _encode_text(text: Any, walk: Walk) -> bytes:
    """Return the encoding of a text that may name an input: with what the input looks like, if it does."""
    return encode_input(text, walk.inputs.of(text), walk)


def _encode_bytes(data: Any, walk: Walk) -> bytes:
    """Return the encoding of bytes; where a library packed an object into them, the encoding of the object."""
    packed = unpack(data)
    return compact(b"b", data) if packed is None else frame(b"z", [walk.encode(packed)])


def _encode_sequence(tag: bytes) -> Hasher:
    def encode_sequence(items: Any, walk: Walk) -> bytes:
        if len(items) > _PACKED_FROM and (packed := _pack(items)) is not None:
            return frame(b"%", [tag, *packed])
        encode = walk.encode
        parts: list[bytes] = []
        try:
            for item in items:
                parts.append(encode(item))
        except Unidentifiable as error:
            raise located(error, f"at index {len(parts)}") from error.__cause__
        return frame(tag, parts)

    return encode_sequence


def _pack(items: Collection[Any]) -> list[bytes] | None:
    """Return the encodings of a long sequence of one simple type, at the speed of C, or None."""
    kinds = set(map(type, items))
    if len(kinds) != 1:
        return None
    kind = kinds.pop()
    if kind is float:
        return [b"d", digest(memoryview(array.array("d", items)))]
    if kind is int:
        try:
            return [b"i", digest(memoryview(array.array("q", items)))]
        except OverflowError:
            return None
    if kind is str:
        joined = "".join(items)
        if "/" in joined or "." in joined:
            return None
        lengths = array.array("q", map(len, items))
        return [b"s", digest(memoryview(lengths)), digest(joined.encode("utf-8", "surrogatepass"))]
    return None


class _OrderingWalk(Walk):
    """A walk that only finds the order of a set's elements; it knows which sets are being ordered."""

    def __init__(self, walk: Walk, elements: Collection[Any]) -> None:
        super().__init__(walk.inputs)
        self.ordering = getattr(walk, "ordering", frozenset()) | {id(elements)}


def _encode_elements(elements: Collection[Any], walk: Walk) -> list[bytes]:
    """Return the encodings of a set's elements in an order that doesn't depend on hashes.

    References to code are numbered as they are met, so elements that hold some must be visited in
    an order of their own: by the digest that each has alone.
    """
    if all(type(item) in PLAIN for item in elements) or id(elements) in getattr(walk, "ordering", ()):
        return sorted(encode_within(item, walk, "in a set") for item in elements)

    def alone(item: object) -> str:
        own = _OrderingWalk(walk, elements)
        return own.finish(encode_within(item, own, "in a set")).digest

    return [walk.encode(item) for item in sorted(elements, key=alone)]


def _encode_set(tag: bytes) -> Hasher:
    return lambda elements, walk: frame(tag, _encode_elements(elements, walk))


def _encode_set_subclass(elements: Any, walk: Walk) -> bytes:
    # reduce would list the elements in the order of their hashes.
    head = encode_within(type(elements), walk, f"in class {type(elements).__qualname__}")
    state = encode_within(elements.__getstate__(), walk, f"in the state of {type(elements).__qualname__}")
    return frame(b"<", [b"class", head, state, *_encode_elements(elements, walk)])


def _encode_memoryview(view: memoryview, walk: Walk) -> bytes:
    data = digest(view) if view.c_contiguous else digest(view.tobytes())
    return frame(b"m", [encode_str(view.format), walk.encode(view.shape), data])


CONTAINERS: dict[type, Callable[[Any, Walk], bytes]] = {
    str: _encode_text,
    bytes: _encode_bytes,
    list: _encode_sequence(b"l"),
    tuple: _encode_sequence(b"("),
    dict: lambda mapping, walk: encode_pairs(steady_pairs(mapping), walk),
    set: _encode_set(b"<"),
    frozenset: _encode_set(b">"),
    range: lambda span, walk: frame(b"r", map(walk.encode, (span.start, span.stop, span.step))),
    slice: lambda cut, walk: frame(b":", map(walk.encode, (cut.start, cut.stop, cut.step))),
    memoryview: _encode_memoryview,
}
"""Encoders of the built-in containers by exact type."""
