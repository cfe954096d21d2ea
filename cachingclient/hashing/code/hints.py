"""Type hints that are texts, as `from __future__ import annotations` makes of all: they stand for what they name.

Who builds an object by its hints, as pydantic and `typing.get_type_hints` do, looks these names up where the class
stands. So what they name counts, as it would if the hints were no texts.
"""

from __future__ import annotations

import ast
import contextlib
import sys
from collections.abc import Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any, ForwardRef, Literal, get_args, get_origin

from cloudpickle import list_registry_pickle_by_value

from cachingclient.hashing.code.names import find_named, told_by
from cachingclient.hashing.walk import Walk


def named_in_hints(obj: Any, hint: object, walk: Walk, *, asked: bool) -> Iterator[tuple[str, object]]:
    """Yield what the texts in one hint of a class, function or module name, with the names.

    What is sent to workers by value brings nothing that its hints name. Of a script's class they can be found there all
    the same, since workers may have read the script: that counts where some code `asked` for hints.

    Examples
    --------
    >>> import collections
    >>> from cachingclient.hashing.walk import Walk
    >>> list(named_in_hints(collections, list["OrderedDict | None"], Walk(), asked=False))
    [('OrderedDict', <class 'collections.OrderedDict'>)]
    """
    namespace = _namespace(obj, asked)
    if namespace is None:
        return
    for text in dict.fromkeys(_texts(hint)):
        with contextlib.suppress(SyntaxError, ValueError, RecursionError):
            for name in dict.fromkeys(_names(ast.parse(text.strip(), mode="eval"))):
                walk.unsure()
                found = _found(name, namespace)
                if found is not None and not isinstance(found, ModuleType):
                    yield name, found


def _namespace(obj: Any, asked: bool) -> Mapping[str, object] | None:
    """Return where names in the hints of an object are looked up; None if there is no such place on workers."""
    if isinstance(obj, ModuleType):
        return vars(obj)
    module, qualname = told_by(obj, "__module__"), told_by(obj, "__qualname__")
    if not isinstance(module, str) or not isinstance(qualname, str):
        return None
    if module == "__main__":
        return vars(sys.modules[module]) if asked and isinstance(obj, type) else None
    by_value = list_registry_pickle_by_value()
    if any(module == each or module.startswith(f"{each}.") for each in by_value):
        return None
    if isinstance(obj, FunctionType):
        return obj.__globals__ if obj.__globals__ is told_by(sys.modules.get(module), "__dict__") else None
    # A class that a function makes has no name to be sent by.
    return told_by(sys.modules.get(module), "__dict__") if find_named(module, qualname) is obj else None


def _texts(hint: object) -> Iterator[str]:
    """Yield the texts in a hint that are hints themselves."""
    if isinstance(hint, str):
        yield hint
    elif isinstance(hint, ForwardRef):
        yield hint.__forward_arg__
    elif isinstance(hint, list):  # the arguments of a callable
        for part in hint:
            yield from _texts(part)
    elif get_origin(hint) is not Literal:
        # The rest of what Annotated is given are values.
        told = get_args(hint)
        for part in told[:1] if hasattr(hint, "__metadata__") else told:
            yield from _texts(part)


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the names in an expression, as far as they lead: ``physics.Jet`` and not ``physics``."""
    parts: list[str] = []
    inner = node
    while isinstance(inner, ast.Attribute):
        parts.append(inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        yield ".".join([inner.id, *reversed(parts)])
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        with contextlib.suppress(SyntaxError, ValueError):  # a text in a text, unless it is an argument of Literal
            yield from _names(ast.parse(node.value.strip(), mode="eval"))
        return
    for part in ast.iter_child_nodes(node):
        yield from _names(part)


def _found(name: str, namespace: Mapping[str, object]) -> object:
    """Return what a dotted name leads to, None if it leads nowhere."""
    first, *others = name.split(".")
    found = namespace.get(first)
    for part in others:
        if not isinstance(found, (ModuleType, type)):
            break
        found = told_by(found, part)
    return found
