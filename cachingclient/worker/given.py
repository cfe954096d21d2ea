"""What a step was given, before and after its run: a step that changed it in place keeps nothing.

The result of such a step is not all that it does, so loading it would leave the rest undone. And what it changed is
the result of another step, which other steps may take after it.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable
from types import BuiltinFunctionType, FunctionType
from typing import Any

from cachingclient.hashing.environment.environment import is_user_code
from cachingclient.hashing.identity import Identity
from cachingclient.hashing.step_keys import Merkle

MERGES = frozenset({"ROOT._distrdf.Backends.Base.distrdf_reducer"})
"""Functions that merge into their first argument, whose library hands it to no other step."""
_UNCHANGING = frozenset({bytes, str, int, float, complex, bool, type(None), FunctionType, BuiltinFunctionType, type})


class Given:
    """The arguments of one run as they were before it.

    Parameters
    ----------
    looked_at
        The values, each with its identity or the reason why it has none.
    may_be_seen
        Tells of a value whether anybody else may see what becomes of it.

    Examples
    --------
    >>> values = [1, 2]
    >>> merkle = Merkle({})
    >>> _ = merkle.value(values)
    >>> given = Given(merkle.looked_at)
    >>> values.append(3)
    >>> given.changed(Merkle({}))
    'a list'
    """

    def __init__(
        self,
        looked_at: Iterable[tuple[object, Identity | str]] = (),
        may_be_seen: Callable[[object], bool] = lambda value: True,
    ) -> None:
        self._before = [
            (value, found, _attributes(value))
            for value, found in looked_at
            if isinstance(found, Identity) and type(value) not in _UNCHANGING and may_be_seen(value)
        ]

    def needs_a_look(self, function: Any) -> bool:
        """Whether the run may have changed them: whatever its code says, since libraries change what they are given.

        Parameters
        ----------
        function
            The user's function.
        """
        name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"
        return bool(self._before) and name not in MERGES

    def changed(self, merkle: Merkle) -> str:
        """Return what kind of argument is another now, or an empty text; what its class remembers is no change."""
        for value, before, attributes in self._before:
            if _is_same(merkle, value, before) or (
                attributes is not None and _is_same(merkle, _with_attributes(value, attributes), before)
            ):
                continue
            return f"a {type(value).__name__}"
        return ""


def _is_same(merkle: Merkle, value: object, before: Identity) -> bool:
    now = merkle.identity(value)
    return isinstance(now, Identity) and now.digest == before.digest


def _attributes(value: object) -> frozenset[str] | None:
    if not is_user_code(type(value).__module__):
        return None
    own = getattr(value, "__dict__", None)
    return frozenset(own) if isinstance(own, dict) else None


def _with_attributes(value: Any, names: frozenset[str]) -> Any:
    """Return a copy without the memories that were added to these attributes."""
    try:
        twin = copy.copy(value)
        for name in vars(twin).keys() - names:
            if _is_memory(type(value), name):
                del vars(twin)[name]
    except Exception:  # of the user's class
        return value
    return twin


def _is_memory(kind: type, name: str) -> bool:
    """Whether a class fills an attribute when first asked for it: a ``cached_property``, or a private name of its."""
    filler = type(inspect.getattr_static(kind, name, None))
    if hasattr(filler, "__get__") and not hasattr(filler, "__set__") and filler is not FunctionType:
        return True
    if not name.startswith("_"):
        return False
    members = [member for each in kind.__mro__ for member in vars(each).values()]
    functions = [getattr(member, "fget", member) for member in members]
    return any(name in function.__code__.co_names for function in functions if isinstance(function, FunctionType))
