"""One pool of workers over several sites: `VineCluster`."""

from cachingclient.vine.cluster import VineCluster
from cachingclient.vine.sites import Site

__all__ = ["Site", "VineCluster"]
