"""Adaptive scaling of a pool: dask's own would close the proxies that stand for its sites."""

from __future__ import annotations

from typing import Any

from distributed.deploy.adaptive import Adaptive


class PoolAdaptive(Adaptive):
    """Has as many workers in a pool as it has tasks, between the bounds; fewer only when that was so for a while."""

    def __init__(self, cluster: Any, **options: Any) -> None:
        self._fewer = 0
        super().__init__(cluster, **options)

    async def adapt(self) -> None:
        """Look once, and scale if that is called for."""
        cluster: Any = self.cluster
        stats = cluster.scheduler.observer.stats().values()
        tasks = sum(each.waiting + each.running for each in stats)
        wanted = int(min(max(tasks, self.minimum), self.maximum))
        have = sum(each.workers for each in stats)
        self._fewer = self._fewer + 1 if wanted < have else 0
        if wanted > have or self._fewer >= self.wait_count:
            self._fewer = 0
            cluster.scale(wanted)
