"""What an object holds beside what its class gives a pickle, as a table that is read again wherever it is unpickled.

A class of the user's may say by ``__getstate__`` or ``__reduce__`` that a name is enough to make its objects again. The
name says nothing of what they were made from: a file behind it may be edited. So what they hold counts as well.
"""

from __future__ import annotations

import contextlib
import copyreg
from collections.abc import Callable, Iterator, Mapping
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any

from cachingclient.hashing.digest import digest
from cachingclient.hashing.environment.environment import is_user_code
from cachingclient.hashing.errors import Unidentifiable

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk

_SAYS_HOW = frozenset(
    {"__getstate__", "__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__", "__setstate__"}
)
_BASES: dict[type, Callable[[Any], object]] = {
    float: float.__float__, int: int.__int__, complex: complex.__complex__, str: str.__str__,
    bytes: lambda data: b"".join([data]),
}  # fmt: skip
"""What an object of a class made of one of these is as one of these alone."""


def encode_beside(obj: object, state: object, walk: Walk) -> bytes:
    """Return a digest for each thing that an object holds beside its state; none where its class says nothing.

    None stands for what is not there yet. What has no identity is left out, such as an open file: the step that reads
    it is seen to do so.

    Parameters
    ----------
    obj
        The object.
    state
        What its class gives a pickle as its state.
    walk
        The walk that met it; each object is looked at once.

    Examples
    --------
    >>> from cachingclient.hashing.walk import Walk
    >>> encode_beside(3.5, None, Walk())  # no class of the user's
    b''
    """
    if not _says_how(type(obj)) or id(obj) in walk.beside:
        return b""
    walk.beside[id(obj)] = obj
    walk.remade = True
    parts: list[bytes] = []
    for name, value in _held(obj, state):
        if value is not None:
            with contextlib.suppress(Unidentifiable, RecursionError):
                parts.append(digest(f"{type(obj).__qualname__}.{name} {walk.alone(value).key}".encode()))
    return b"".join(parts)


def _says_how(cls: type) -> bool:
    """Whether code of the user's says what of the objects of a class goes into a pickle, or is made of it."""
    if cls in copyreg.dispatch_table:
        return is_user_code(str(getattr(copyreg.dispatch_table[cls], "__module__", "")))
    return any(_is_users(vars(each)[name], each) for each in cls.__mro__ for name in _SAYS_HOW & vars(each).keys())


def _is_users(method: object, owner: type) -> bool:
    """Whether a method is written by the user, and not by `dataclasses` or a named tuple's maker."""
    return is_user_code(str(getattr(method, "__module__", None) or owner.__module__))


def _held(obj: Any, state: object) -> Iterator[tuple[str, object]]:
    """Yield what an object holds that is no part of its state as such."""
    told = state if isinstance(state, Mapping) else {}
    own = getattr(obj, "__dict__", None)
    values = dict(own) if isinstance(own, dict) else {}
    for each in type(obj).__mro__:
        slots = vars(each).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if isinstance(member := vars(each).get(name), MemberDescriptorType):
                with contextlib.suppress(AttributeError):  # it was not set
                    values[name] = member.__get__(obj, type(obj))
    for name, value in values.items():
        if name not in told or told[name] is not value:
            yield str(name), value
    for kind, plain in _BASES.items():
        if isinstance(obj, kind):
            yield kind.__name__, plain(obj)
