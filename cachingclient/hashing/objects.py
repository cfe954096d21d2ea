"""Identity of objects of a type without a hasher: by the result of their ``__reduce_ex__``."""

from __future__ import annotations

import copyreg
import functools
import sys
from collections.abc import Iterable, Mapping
from copyreg import __newobj__ as _new_object  # type: ignore[attr-defined]
from typing import Any

from cachingclient.hashing.beside import encode_beside
from cachingclient.hashing.code.modules import named_in_library
from cachingclient.hashing.code.names import told_by
from cachingclient.hashing.digest import digest, frame
from cachingclient.hashing.environment.environment import is_user_code
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.inputs.fingerprint import Fingerprint
from cachingclient.hashing.inputs.signed import unsigned
from cachingclient.hashing.scalars import encode_str
from cachingclient.hashing.walk import Walk


def encode_object(obj: Any, walk: Walk) -> bytes:
    """Return the encoding of an object by its class, constructor, arguments, state and items.

    The bytes that pickle would write are of no use for this: they hold memo numbers, module paths and
    the order in which equal strings were met.
    """
    named = named_in_library(obj, walk)
    if named is not None:
        return named
    cls = type(obj)
    reduced = _reduce(obj)
    if isinstance(reduced, str):
        return _encode_global(obj, reduced, walk)
    head = encode_within(cls, walk, f"in class {cls.__qualname__}")
    constructor, args, state, items, pairs, setter = (*reduced, None, None, None, None)[:6]
    if cls is functools.partial and state[-1] == {}:
        state = (*state[:-1], None)  # its dictionary, which is there once somebody has asked for it
    parts = [head]
    if constructor is _new_object and args[:1] == (cls,):
        args = args[1:]
    else:
        parts.append(encode_within(constructor, walk, f"in what builds {cls.__qualname__}"))
    parts.append(frame(b"(", [encode_within(arg, walk, f"in {cls.__qualname__}") for arg in args]))
    parts.append(_encode_state(state, cls, walk))
    if items is not None:
        parts.append(_encode_items(items, cls, walk))
    if pairs is not None:
        parts.append(encode_pairs(pairs, walk, f"of {cls.__qualname__}"))
    if setter is not None:
        parts.append(walk.encode(setter))
    if (beside := encode_beside(obj, state, walk)) and walk.describing:
        parts.append(digest(beside))
    elif beside:
        walk.held.append(beside)
    return frame(b"o", parts)


def encode_within(obj: object, walk: Walk, where: str) -> bytes:
    """Return the encoding of a part; if it has none, say where it was found."""
    try:
        return walk.encode(obj)
    except Unidentifiable as error:
        raise located(error, where) from error.__cause__


def located(error: Unidentifiable, where: str) -> Unidentifiable:
    """Return the error with one more step of the way to the part that has no identity."""
    return Unidentifiable(f"{error.reason} {where}")


def encode_pairs(pairs: Iterable[tuple[Any, Any]], walk: Walk, where: str = "") -> bytes:
    """Return the encoding of keys and values in the order given."""
    parts: list[bytes] = []
    key: Any = None
    try:
        for key, value in pairs:
            parts.append(walk.encode(key))
            parts.append(walk.encode(value))
    except Unidentifiable as error:
        raise located(error, f"under key {key!r:.60} {where}".rstrip()) from error.__cause__
    return frame(b"{", parts)


def encode_input(text: str, found: Fingerprint | None, walk: Walk) -> bytes:
    """Return the encoding of a text that may name an input, with what the input looks like if it is a remote one.

    A local file counts by the trace of the step that is given it, as it is found to be when the step runs: whether the
    step reads the file, writes it or does neither shows only then.
    """
    if found is None:
        walk.may_change = True
        return encode_str(text)
    walk.file(found)
    if found.note:
        walk.warn(found.note)
    return encode_str(text) if found.is_local else frame(b"I", [encode_str(unsigned(text)), found.identity])


def encode_unordered(value: Any, walk: Walk) -> bytes:
    """Return the encoding of nested settings: their keys have no order, and their texts name no files."""
    if isinstance(value, Mapping):
        pairs = [frame(b"(", [walk.encode(key), encode_unordered(item, walk)]) for key, item in value.items()]
        return frame(b"{", sorted(pairs))
    if type(value) in (list, tuple):
        return frame(b"l", [encode_unordered(item, walk) for item in value])
    return encode_str(value) if type(value) is str else walk.encode(value)


def _reduce(obj: Any) -> str | tuple[Any, ...]:
    try:
        reducer = copyreg.dispatch_table.get(type(obj))
        reduced: Any = reducer(obj) if reducer is not None else obj.__reduce_ex__(4)
        return _as_made(reduced) if type(obj) is functools.partial else reduced
    except Exception as error:
        # Whatever goes wrong inside a library's or a user's own code here means the same: no identity.
        name = f"{type(obj).__module__}.{type(obj).__qualname__}"
        raise Unidentifiable(f"{name} object that can't be taken apart ({error})") from error


def _as_made(reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what a partial is taken apart to before anybody asked for its ``__dict__``, which asking makes."""
    made, arguments, (*state, attributes) = reduced
    return made, arguments, (*state, attributes or None)


def _encode_global(obj: Any, name: str, walk: Walk) -> bytes:
    """Return the encoding of an object that its library finds again by name."""
    module = str(told_by(obj, "__module__") or type(obj).__module__)
    if is_user_code(module) or getattr(sys.modules.get(module), name, None) is not obj:
        raise Unidentifiable(f"{module}.{name}, which gives a pickle nothing but this name")
    return walk.library(module, name)


def _encode_state(state: object, cls: type, walk: Walk) -> bytes:
    if type(state) is dict:
        return _encode_attributes(state, cls, walk)
    if type(state) is tuple and len(state) == 2 and all(part is None or type(part) is dict for part in state):
        return frame(b"(", [b"N" if part is None else _encode_attributes(part, cls, walk) for part in state])
    return encode_within(state, walk, f"in the state of {cls.__qualname__}")


def _encode_attributes(attributes: dict[Any, Any], cls: type, walk: Walk) -> bytes:
    """Return the encoding of attributes in the order they were set: `vars` shows it to a program."""
    parts: list[bytes] = []
    name: Any = None
    is_users = isinstance(cls.__module__, str) and is_user_code(cls.__module__)
    try:
        for name, value in attributes.items():
            parts.append(encode_str(name) if type(name) is str else walk.encode(name))
            encoded = walk.encode(value)
            parts.append(encoded)
            if is_users:
                walk.ingredient(f"attribute {cls.__module__}.{cls.__qualname__}.{name}", encoded, value)
    except Unidentifiable as error:
        raise located(error, f"in attribute {name!r} of {cls.__qualname__}") from error.__cause__
    return frame(b"{", parts)


def _encode_items(items: Iterable[Any], cls: type, walk: Walk) -> bytes:
    parts: list[bytes] = []
    try:
        for item in items:
            parts.append(walk.encode(item))
    except Unidentifiable as error:
        raise located(error, f"at index {len(parts)} of {cls.__qualname__}") from error.__cause__
    return frame(b"l", parts)
