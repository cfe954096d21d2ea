"""What the first graph takes, imported while nobody waits: on the client as it starts, on workers as they come."""

from __future__ import annotations

import importlib
import sys

from cachingclient.versions import own_version

_ALWAYS = (
    "cachingclient.hashing.code",
    "cachingclient.hashing.plugins.stdlib",
    "cachingclient.hashing.values",
    "cachingclient.loading",
    "cachingclient.storage.codecs.containers",
)
_BESIDE = {
    "boost_histogram": ("cachingclient.hashing.plugins.histograms", "cachingclient.storage.codecs.hist"),
    "numpy": ("cachingclient.hashing.plugins.numpy", "cachingclient.storage.codecs.numpy"),
}
"""Modules that import a library, by that library: only where it is there already."""


def warm_up() -> None:
    """Import what the first graph takes."""
    beside = [name for library, names in _BESIDE.items() if library in sys.modules for name in names]
    for name in (*_ALWAYS, *beside):
        importlib.import_module(name)


def warmed_version() -> str:
    """Import what the first graph takes; return the version of this package.

    Examples
    --------
    >>> warmed_version() == own_version()
    True
    """
    warm_up()
    return own_version()
