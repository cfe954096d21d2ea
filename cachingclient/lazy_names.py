"""Names of a package that are imported when they are first asked for (PEP 562): a look at it costs nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(
    package: str, names: Mapping[str, str], *, rooms: tuple[str, ...] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and the ``__dir__`` of a package.

    Parameters
    ----------
    package
        The package's ``__name__``.
    names
        Each public name with the module that has it, as written after a dot: ``{"Site": "sites"}``.
    rooms
        Subpackages that are attributes too, without an import of their own.

    Examples
    --------
    >>> attribute, names = lazy_names("cachingclient.vine", {"Site": "sites"})
    >>> attribute("Site")
    <class 'cachingclient.vine.sites.Site'>
    >>> "Site" in names()
    True
    >>> attribute("Sight")
    Traceback (most recent call last):
        ...
    AttributeError: module 'cachingclient.vine' has no attribute 'Sight'
    """

    def __getattr__(name: str) -> Any:
        if name in rooms:
            return importlib.import_module(f"{package}.{name}")
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{names[name]}"), name)
        setattr(sys.modules[package], name, value)  # found without us from now on
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[package]), *names, *rooms})

    return __getattr__, __dir__
