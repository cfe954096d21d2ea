"""One pool of workers over several sites: `VineCluster`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachingclient.lazy_names import lazy_names

if TYPE_CHECKING:
    from cachingclient.vine.cluster import VineCluster
    from cachingclient.vine.sites import Site

__all__ = ["Site", "VineCluster"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "VineCluster": "cluster",
            "Site": "sites",
        },
    )
