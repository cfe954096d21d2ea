"""Whether the installed dask has what the client leans on: of the releases that were tested it is known."""

from __future__ import annotations

import functools
import importlib.metadata

from cachingclient.dask_internals import missing_internals

TESTED = frozenset(
    {"2025.3.0", "2025.5.1", "2025.7.0", "2025.12.0", "2026.1.2", "2026.3.0", "2026.7.1", "2026.8.0"},
)
"""Releases of dask and distributed that ``make matrix`` runs the tests on."""
ROOMS = "client", "config", "graph", "hashing", "plan", "scheduler", "step", "storage", "worker"
"""Whose needs count: without those of sites and jobs a client can do."""


@functools.cache
def what_is_missing() -> tuple[str, ...]:
    """Say what the installed dask and distributed lack for a client with a cache; nothing on a release that was tested.

    Examples
    --------
    >>> what_is_missing()
    ()
    """
    if {importlib.metadata.version(name) for name in ("dask", "distributed")} <= TESTED:
        return ()
    try:
        return tuple(missing_internals(*ROOMS))
    except Exception as error:  # whatever they did to it: this is a plain client, and no crash
        return (f"looking for it gave {type(error).__name__}: {error}",)
