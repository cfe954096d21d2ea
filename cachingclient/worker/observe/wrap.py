"""Put a wrapper in place of a library's function, method or class, so that nobody else notices."""

from __future__ import annotations

import ctypes
import functools
import gc
import inspect
import sys
from collections.abc import Callable
from typing import Any


def replace(module: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put a wrapper in place of a function, method or class, wherever its package has it under a name.

    Parameters
    ----------
    module
        The module that defines it.
    name
        Its qualified name; nothing is done if there is none.
    make
        Returns the wrapper of a function.
    """
    *path, last = name.split(".")
    owner = module
    for part in path:
        owner = getattr(owner, part, None)
    original = getattr(owner, last, None)
    if original is None:
        return
    if path:
        static = inspect.getattr_static(owner, last)
        method = functools.wraps(original)(make(original))
        is_static = isinstance(static, staticmethod) or inspect.isbuiltin(original)
        set_in_class(owner, last, staticmethod(method) if is_static else method)
        return
    wrapper: Any = (
        _stand_in(original, make) if isinstance(original, type) else functools.wraps(original)(make(original))
    )
    package = module.__name__.partition(".")[0]
    for other, loaded in sys.modules.copy().items():  # other threads may import meanwhile
        if other.partition(".")[0] == package and getattr(loaded, "__dict__", {}).get(last) is original:
            setattr(loaded, last, wrapper)


def set_in_class(owner: type, name: str, value: object) -> None:
    """Set an attribute of a class, also of a compiled one that lets nobody do it but by its own dictionary."""
    try:
        setattr(owner, name, value)
    except TypeError:
        gc.get_referents(owner.__dict__)[0][name] = value
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(owner))


def _stand_in(original: type, make: Callable[[Any], Any]) -> type:
    """Return a class that makes objects of the original one, through the wrapper, and is taken for it."""
    construct = make(original)

    class Meta(type(original)):  # type: ignore[misc]
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, original) if cls is stand_in else super().__instancecheck__(instance)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, original) if cls is stand_in else super().__subclasscheck__(subclass)

    def new(cls: type, *args: Any, **kwargs: Any) -> Any:
        return construct(*args, **kwargs) if cls is stand_in else original.__new__(cls, *args, **kwargs)

    names = {"__new__": new, "__doc__": original.__doc__, "__module__": original.__module__}
    stand_in: type = Meta(original.__name__, (original,), {**names, "__qualname__": original.__qualname__})
    return stand_in
