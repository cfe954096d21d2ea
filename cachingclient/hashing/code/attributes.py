"""What is no part of the identity of code unless some code reads it: docstrings, full names, type hints, subclasses."""

from __future__ import annotations

import functools
from typing import Any

from cachingclient.hashing.code.hints import named_in_hints
from cachingclient.hashing.code.names import told_by
from cachingclient.hashing.digest import frame
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.scalars import encode_str
from cachingclient.hashing.walk import Walk

_LEFT_IN_CLASSES = frozenset({"__slotnames__", "__annotations__", "__annotations_cache__"})


def describe_layout(obj: Any, name: str, walk: Walk) -> bytes:
    """Encode one such attribute of a function, class or module.

    Parameters
    ----------
    obj
        The function, class or module.
    name
        ``"__doc__"``, ``"__qualname__"``, ``"__module__"``, ``"__annotations__"``, ``"__subclasses__"``, or
        ``"__dict__"`` for the order in which a class was defined.
    walk
        The identification under way.
    """
    if name == "__annotations__":
        return describe_hints(obj, walk, asked=True)
    if name == "__subclasses__":
        return _subclasses(obj, walk)
    if name == "__dict__":
        return _order(obj)
    value = getattr(obj, name, None)
    if name == "__qualname__" and isinstance(obj, type) and obj.__module__ == "__main__":
        value = obj.__name__  # a class inside another of a script reaches workers without the other's name
    return encode_str(value) if isinstance(value, str) else b"N"


def describe_hints(obj: Any, walk: Walk, *, asked: bool = False) -> bytes:
    """Encode type hints, and what those that are texts name. What has no identity counts by its type.

    Parameters
    ----------
    obj
        The function, class or module.
    walk
        The identification under way.
    asked
        Whether some of the code looks at hints.
    """
    parts = []
    try:
        hints = dict(getattr(obj, "__annotations__", {}))
    except Exception:
        # From 3.14 hints are evaluated when asked for, and may name what does not exist.
        return b"N"
    for name, hint in hints.items():
        parts.append(frame(b"$hint:", [encode_str(name), _hint(hint, walk)]))
        for named, found in named_in_hints(obj, hint, walk, asked=asked):
            parts.append(frame(b"$named:", [encode_str(named), _hint(found, walk)]))
    return frame(b"$hints:", parts)


def _hint(hint: object, walk: Walk) -> bytes:
    try:
        return walk.encode(hint)
    except Unidentifiable:
        return encode_str(type(hint).__qualname__)


def _order(obj: Any) -> bytes:
    """Encode the order of a class's attributes. A class of a script reaches workers sorted by name, so it has none.

    What Python leaves in a class when an object of it is pickled, or when it is first asked for its hints, is none of
    them: a process in which that happened would differ.
    """
    if not isinstance(obj, type) or obj.__module__ == "__main__":
        return b"N"
    return frame(b"$order:", [encode_str(name) for name in vars(obj) if name not in _LEFT_IN_CLASSES])


def _subclasses(obj: Any, walk: Walk) -> bytes:
    """Encode the subclasses of a class, in the order of their definition."""
    if not isinstance(obj, type) or issubclass(obj, type):
        return b"N"
    return frame(b"$subclasses:", map(walk.encode, obj.__subclasses__()))


def set_on(method: staticmethod[..., Any] | classmethod[Any, ..., Any], walk: Walk) -> list[bytes]:
    """Return the encoding of what was set on a static or class method itself, beside what it has of its function.

    It copied names and the like when it was made. They may differ since: `namedtuple` gives its functions other names.
    """
    function, copied = method.__func__, {"__wrapped__", *functools.WRAPPER_ASSIGNMENTS}
    own = {
        name: value
        for name, value in vars(method).items()
        if name not in copied and told_by(function, name) is not value
    }
    return [walk.encode(dict(sorted(own.items())))] if own else []
