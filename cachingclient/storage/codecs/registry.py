"""Which codec is for which type, and which module a codec's name stands for."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any, Protocol, cast

BY_PACKAGE = {  # the package that defines the type -> codec
    "builtins": "containers",
    "numpy": "numpy",
    "pandas": "pandas",
    "pyarrow": "arrow",
    "awkward": "awkward",
    "boost_histogram": "hist",
    "hist": "hist",
}
NAMES = frozenset({*BY_PACKAGE.values(), "objects", "pickle"})


class Codec(Protocol):
    """The attributes of a codec's module."""

    NAME: str
    VERSION: int
    LIBRARIES: tuple[str, ...]

    def encode(self, value: Any, writer: Any) -> dict[str, Any] | None: ...

    def decode(self, node: dict[str, Any], reader: Any) -> Any: ...


@cache
def codec_named(name: str) -> Codec:
    """Import the codec of this name; only then is its library imported."""
    return cast(Codec, importlib.import_module(f"cachingclient.storage.codecs.{name}"))


def codec_for(kind: type) -> Codec | None:
    """Return the codec for exactly this type's package, if there is one."""
    name = BY_PACKAGE.get(kind.__module__.partition(".")[0])
    if name is None and any(base.__module__ == "awkward.highlevel" for base in kind.__mro__):
        name = "awkward"  # the class of an array is its behavior's
    return codec_named(name) if name else None
