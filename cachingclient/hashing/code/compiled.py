"""Compiled functions: a library's by name, the user's own by the file that they are in."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from cachingclient.hashing.code.modules import method_of_library_object
from cachingclient.hashing.digest import compact, frame
from cachingclient.hashing.environment.environment import is_user_code
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.walk import Walk


def encode_compiled(obj: Any, walk: Walk) -> bytes:
    """Encode a compiled function by its name and the object that it is bound to."""
    owner = getattr(obj, "__self__", None)
    name: str = getattr(obj, "__qualname__", None) or getattr(obj, "__name__", None) or repr(type(obj))
    if owner is not None and not isinstance(owner, ModuleType):
        if (named := method_of_library_object(obj, walk)) is not None:
            return named
        return frame(b"$bound:", [walk.encode(owner), name.encode()])
    owner_class = getattr(obj, "__objclass__", None)
    if owner_class is not None:
        return frame(b"$slot:", [walk.encode(owner_class), name.encode()])
    module = getattr(obj, "__module__", None) or getattr(owner, "__name__", None) or "builtins"
    if is_user_code(module):
        return _compiled_by_user(module, name, walk)
    return walk.library(module, name)


def _compiled_by_user(module: str, name: str, walk: Walk) -> bytes:
    """Encode a function of the user's own extension module by the content of its file."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        raise Unidentifiable(f"the compiled function {module}.{name}, whose file is unknown")
    walk.unsure()
    with open(file, "rb") as library:
        return frame(b"$compiled:", [name.encode(), compact(b"$file:", library.read())])
