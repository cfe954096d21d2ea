"""Objects of the user's classes as what they are made of, for stores that take only data.

Members of enums by name, named tuples by their items, other objects by their attributes, where that is all that pickle
would keep of them. The classes are the session's, so decoding runs no code that comes from the store.
"""

from __future__ import annotations

import copyreg
import enum
import inspect
from types import MemberDescriptorType
from typing import Any

from cachingclient.storage.classes import ClassChangedError, Reference

NAME = "objects"
VERSION = 1
LIBRARIES: tuple[str, ...] = ()

_AS_OBJECT = ("__reduce__", "__reduce_ex__", "__getstate__", "__new__")
_NONE_OF = ("__del__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")


def encode(value: Any, writer: Any) -> dict[str, Any] | None:
    """Describe an object of a user's class; None where there may be more to it, and for those of libraries."""
    kind = type(value)
    if isinstance(value, type) or not writer.classes.is_users(kind.__module__):
        return None
    if isinstance(value, enum.Enum):
        is_member = kind.__members__.get(value.name or "") is value  # others are combinations of flags
        return {"class": _class(kind, writer), "member": value.name} if is_member else None
    if kind.__bases__ == (tuple,) and hasattr(kind, "_fields"):
        return {"class": _class(kind, writer), "items": [writer.encode(item) for item in value]}
    if not _is_made_of_attributes(kind):
        return None
    state = object.__reduce_ex__(value, 4)[2]
    parts = state if isinstance(state, tuple) else (state,)
    return {"class": _class(kind, writer), "attributes": [writer.encode(part) for part in parts]}


def decode(node: dict[str, Any], reader: Any) -> Any:
    """Build the object."""
    reference = Reference(*node["class"])
    if not reference.digest:  # any class of any library, which would have to be imported
        raise ClassChangedError(f"nothing says which class {reference.qualname} is")
    kind: Any = reader.classes.find(reference)
    if not isinstance(kind, type):
        raise ClassChangedError(f"{reference.qualname} is no class here")
    if not reader.classes.is_users(kind.__module__):
        raise ClassChangedError(f"{reference.qualname} is no class of yours here")
    if "member" in node:
        return vars(kind)["_member_map_"][node["member"]]
    if "items" in node:
        return tuple.__new__(kind, [reader.decode(item) for item in node["items"]])
    if not _is_made_of_attributes(kind):
        raise ClassChangedError(f"{reference.qualname} is made of more than attributes here")
    value: Any = object.__new__(kind)
    for part in node["attributes"]:
        for name, attribute in (reader.decode(part) or {}).items():
            _set(value, name, attribute)
    return value


def _set(value: Any, name: str, attribute: Any) -> None:
    """Set an attribute as loading a pickle does: a slot, or beside the others; properties are code and do not run."""
    if isinstance(inspect.getattr_static(type(value), name, None), MemberDescriptorType):
        object.__setattr__(value, name, attribute)
    else:
        vars(value)[name] = attribute


def _class(kind: type, writer: Any) -> list[str]:
    reference = writer.refer(kind)
    return [reference.module, reference.qualname, reference.digest]


def _is_made_of_attributes(kind: type) -> bool:
    """Whether pickle would take an object of this class for its attributes and nothing else."""
    return (
        all(getattr(kind, name) is getattr(object, name) for name in _AS_OBJECT)
        and not any(hasattr(kind, name) for name in _NONE_OF)
        and kind not in copyreg.dispatch_table
    )
