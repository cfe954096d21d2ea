"""Classes of the user's own: by name, bases, metaclass, attributes and methods."""

from __future__ import annotations

import abc
import dataclasses
import enum
import functools
import sys
from operator import itemgetter
from types import FunctionType, MemberDescriptorType
from typing import Any

from cachingclient.hashing.code.attributes import describe_hints
from cachingclient.hashing.code.import_effects import effects_of
from cachingclient.hashing.code.names import find_named, without_addresses
from cachingclient.hashing.code.unfinished import finish
from cachingclient.hashing.digest import frame
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.scalars import encode_str
from cachingclient.hashing.walk import Walk

CLASS_LAYOUT_NAMES = frozenset(
    {
        "__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__abstractmethods__", "_abc_impl",
        "__slotnames__", "__firstlineno__", "__static_attributes__", "__annotate__", "__annotate_func__",
        "__annotations_cache__", "__annotations__",
        "__dataclass_fields__", "__dataclass_params__",
        "__pydantic_core_schema__", "__pydantic_validator__", "__pydantic_serializer__", "__signature__",
    }
)  # fmt: skip
"""Attributes that the interpreter sets on a class, or that follow from the others, and no method reads."""
_HINTS = frozenset({"__annotations__", "__annotate__", "__annotate_func__"})
_DEFINED = (FunctionType, staticmethod, classmethod, property)


def describe_class(cls: type, walk: Walk) -> bytes:
    """Encode a class that has no version to go by.

    Attributes count by name, so that moving a method is no change; cloudpickle, too, rebuilds a class in that order.
    Where code looks at the order of their definition, `attributes.describe_layout` adds it.
    """
    finish(cls)
    walk.saw_attributes(cls, "__name__", "__bases__")
    walk.saw_items(vars(cls))
    if find_named(cls.__module__, cls.__qualname__) is cls:  # it is sent by its name: its module is imported
        walk.importing(effects_of(cls.__module__))
    # Python leaves an empty dict in a class that has no hints and is asked for them.
    has_hints = any(vars(cls).get(name) for name in _HINTS)
    parts = [encode_str(_name(cls)), walk.encode(type(cls)), *map(walk.encode, cls.__bases__)]
    if dataclasses.is_dataclass(cls) or isinstance(cls, (abc.ABCMeta, enum.EnumMeta)) or has_hints:
        walk.unsure()
    if dataclasses.is_dataclass(cls):
        parts.append(frame(b"$fields:", [_field(field, walk) for field in dataclasses.fields(cls)]))
    if has_hints:
        parts.append(describe_hints(cls, walk))
    if issubclass(cls, enum.Enum):
        parts.append(frame(b"$members:", map(encode_str, cls.__members__)))
    for name, value in sorted(_attributes(cls), key=itemgetter(0)):
        try:
            encoded = walk.encode(_unwrapped(value, walk))
            parts.append(frame(b"$attribute:", [encode_str(name), encoded]))
            if not isinstance(value, _DEFINED):
                walk.ingredient(f"attribute {cls.__module__}.{cls.__qualname__}.{name}", encoded, value)
        except Unidentifiable as error:
            raise Unidentifiable(f"{error.reason}, in attribute {name!r} of class {cls.__name__}") from None
    if isinstance(cls, abc.ABCMeta) and (registered := _registered(cls)):
        parts.append(walk.encode(registered))
    return frame(b"$class:", parts)


def _name(cls: type) -> str:
    """Return the name of a class; of one that is made at run time without the addresses in it."""
    name = cls.__name__
    return name if getattr(sys.modules.get(cls.__module__), name, None) is cls else without_addresses(name)


def _registered(cls: type) -> set[type]:
    """Return the classes registered with an ABC: ``isinstance`` knows them."""
    registry = abc._get_dump(cls)[0]  # type: ignore[attr-defined]
    return {kind for reference in registry if (kind := reference()) is not None}


def _attributes(cls: type) -> list[tuple[str, Any]]:
    """Return what a class itself defines; of an enum its members by value, not the tables made of them."""
    # The descriptors of slots follow from __slots__; cloudpickle leaves them out.
    own = [
        (name, value)
        for name, value in vars(cls).items()
        if name not in CLASS_LAYOUT_NAMES and not isinstance(value, MemberDescriptorType)
    ]
    if not issubclass(cls, enum.Enum):
        return own
    members = [(name, _member(member)) for name, member in cls.__members__.items()]
    return members + [
        (name, value)
        for name, value in own
        if name not in cls.__members__ and (not name.startswith("_") or isinstance(value, _DEFINED))
    ]


def _member(member: enum.Enum) -> Any:
    """Return the value of a member, with the attributes that were set on it beside that."""
    made = {"_value_", "_name_", "__objclass__", "_sort_order_", "_inverted_"}
    others = {name: value for name, value in sorted(vars(member).items()) if name not in made}
    return (member._value_, others) if others else member._value_


def _unwrapped(value: Any, walk: Walk) -> Any:
    """Return what a caching descriptor wraps: its lock and name tell nothing."""
    if isinstance(value, (functools.cached_property, functools.singledispatchmethod)):
        walk.unsure()
    if isinstance(value, functools.cached_property):
        return ("cached_property", value.func)
    if isinstance(value, functools.singledispatchmethod):
        return ("singledispatchmethod", value.dispatcher)
    return value


def _field(field: dataclasses.Field[Any], walk: Walk) -> bytes:
    """Encode a dataclass field by the part that it plays in the constructor."""
    # A class of a script reaches workers with a copy of MISSING.
    default, factory = (
        None if isinstance(value, type(dataclasses.MISSING)) else ("given", value)
        for value in (field.default, field.default_factory)
    )
    flags = (field.init, field.repr, field.hash, field.compare, bool(field.kw_only))
    parts = [encode_str(field.name), walk.encode(default), walk.encode(factory), walk.encode(flags)]
    return frame(b"$field:", [*parts, walk.encode(dict(field.metadata))] if field.metadata else parts)
