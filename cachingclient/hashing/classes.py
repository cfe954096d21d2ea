"""Classes of the user's own: by name, bases, metaclass, attributes and methods."""

from __future__ import annotations

import dataclasses
import enum
import functools
from typing import Any

from cachingclient.hashing.digest import frame
from cachingclient.hashing.walk import Unidentifiable, Walk

CLASS_LAYOUT_NAMES = frozenset(
    {
        "__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__abstractmethods__", "_abc_impl",
        "__firstlineno__", "__static_attributes__", "__annotate__", "__annotate_func__", "__annotations_cache__",
        "__dataclass_fields__", "__dataclass_params__", "__subclasshook__",
    }
)  # fmt: skip
"""What the interpreter keeps in a class that no method of it reads."""


def describe_class(cls: type, walk: Walk) -> bytes:
    """Encode a class that has no version to go by.

    Data attributes count in the order of their definition, which ``vars`` shows; methods count by name,
    so that moving one is no change.
    """
    parts = [cls.__name__.encode(), walk.encode(type(cls)), *map(walk.encode, cls.__bases__)]
    if dataclasses.is_dataclass(cls):
        parts.append(frame(b"$fields:", [_field(field, walk) for field in dataclasses.fields(cls)]))
    data, methods = [], []
    for name, value in _attributes(cls):
        try:
            encoded = frame(b"$attribute:", [name.encode(), walk.encode(_unwrapped(value))])
        except Unidentifiable as error:
            raise Unidentifiable(f"{error.reason}, in attribute {name!r} of class {cls.__name__}") from None
        (methods if callable(value) or hasattr(value, "__get__") else data).append((name, encoded))
    parts += [encoded for _, encoded in data]
    parts += [encoded for _, encoded in sorted(methods)]
    return frame(b"$class:", parts)


def _attributes(cls: type) -> list[tuple[str, Any]]:
    """Return what a class itself defines."""
    own = [(name, value) for name, value in vars(cls).items() if name not in CLASS_LAYOUT_NAMES]
    if issubclass(cls, enum.Enum):
        members = [(name, member._value_) for name, member in cls.__members__.items()]
        return members + [
            (name, value)
            for name, value in own
            if name not in cls.__members__ and not name.startswith("_") and not isinstance(value, enum.property)
        ]
    return own


def _unwrapped(value: Any) -> Any:
    """Return what a caching descriptor wraps: its lock and name tell nothing."""
    if isinstance(value, functools.cached_property):
        return ("cached_property", value.func)
    if isinstance(value, functools.singledispatchmethod):
        return ("singledispatchmethod", value.dispatcher)
    return value


def _field(field: dataclasses.Field[Any], walk: Walk) -> bytes:
    """Encode a dataclass field by what its constructor does."""
    default, factory = (
        None if value is dataclasses.MISSING else ("given", value) for value in (field.default, field.default_factory)
    )
    flags = (field.init, field.repr, field.hash, field.compare, bool(field.kw_only))
    return frame(b"$field:", [field.name.encode(), walk.encode(default), walk.encode(factory), walk.encode(flags)])
