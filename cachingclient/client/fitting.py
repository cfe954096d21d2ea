"""`DiracClient` as the installed dask allows: with a cache, or the plain one where what it leans on is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachingclient.dask_internals.fit import what_is_missing

if TYPE_CHECKING or not what_is_missing():
    from cachingclient.client.client import DiracClient
else:
    from cachingclient.client.plain import PlainClient as DiracClient

CachingClient = DiracClient
"""The same class, by a name that does not speak of DIRAC."""

__all__ = ["CachingClient", "DiracClient"]
