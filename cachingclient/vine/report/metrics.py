"""The counts of a cluster's sites on dask's own page for Prometheus, ``/metrics`` of the dashboard's port."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cachingclient.vine.engine import SiteStats

GAUGES = {
    "workers": "Workers of a site.",
    "waiting": "Tasks that wait for a worker of a site.",
    "running": "Tasks that run at a site.",
}
COUNTERS = {
    "done": "Tasks of a site that succeeded.",
    "failed": "Tasks of a site that failed.",
    "bytes_within": "Bytes that a site's workers received from each other.",
    "bytes_across": "Bytes that a site's workers received from other sites.",
}


class SiteMetrics:
    """Tells Prometheus what each site of one cluster does and did.

    Parameters
    ----------
    cluster
        What the cluster is called in the label ``cluster``.
    stats
        Gives the counts of each site.
    moved
        Gives the bytes that workers of one site received from those of another, or of their own, by both their names.

    Notes
    -----
    dask's page shows all that is registered in the process, so it shows this too. Without prometheus_client, which dask
    does not bring, the page says that it is missing, and nothing is registered.
    """

    def __init__(
        self,
        cluster: str,
        stats: Callable[[], dict[str, SiteStats]],
        moved: Callable[[], Mapping[tuple[str, str], int]],
    ) -> None:
        self._cluster = cluster
        self._stats = stats
        self._moved = moved

    def register(self) -> None:
        """Have the page show it from now on."""
        try:
            from prometheus_client import REGISTRY
        except ImportError:
            return
        REGISTRY.register(self)

    def unregister(self) -> None:
        """Have the page show it no more."""
        try:
            from prometheus_client import REGISTRY

            REGISTRY.unregister(self)
        except (ImportError, KeyError):
            return

    def describe(self) -> list[Any]:
        """Nothing is counted for being registered: the scheduler may not have started yet."""
        return []

    def collect(self) -> Iterator[Any]:
        """Return the counts of now, as prometheus_client asks for them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        sites = self._stats()
        for kind, names in ((GaugeMetricFamily, GAUGES), (CounterMetricFamily, COUNTERS)):
            for name, text in names.items():
                family = kind(f"cachingclient_site_{name}", text, labels=["cluster", "site"])
                for site, counts in sites.items():
                    family.add_metric([self._cluster, site or "(any)"], getattr(counts, name))
                yield family
        family = CounterMetricFamily(
            "cachingclient_transfer_bytes", "Bytes that workers sent to others.", labels=["cluster", "source", "site"]
        )
        for (source, site), nbytes in self._moved().items():
            family.add_metric([self._cluster, source or "(any)", site or "(any)"], nbytes)
        yield family
