"""`DiracClient` as the installed dask allows: with a cache, or the plain one where what it leans on is gone."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING

from cachingclient.dask_internals.fit import what_is_missing

if TYPE_CHECKING or not what_is_missing():
    from cachingclient.client.client import DiracClient
    from cachingclient.worker.fills import follow_fills

    if multiprocessing.current_process().name != "MainProcess":
        follow_fills()  # a local cluster's worker imports what the script does before it is a worker
else:
    from cachingclient.client.plain import PlainClient as DiracClient

CachingClient = DiracClient
"""The same class, by a name that does not speak of DIRAC."""

__all__ = ["CachingClient", "DiracClient"]
