"""The plugin of a `VineCluster`'s workers: it tells them their site, and counts the bytes that each sent to others."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

import dask
from distributed import Worker, WorkerPlugin

from cachingclient.vine.sites import site_of
from cachingclient.worker.process import process


class SitePlugin(WorkerPlugin):
    """Tells a worker its site and the store near it, has it count the bytes it sends, and offer its memory.

    Parameters
    ----------
    near
        The URLs of the stores near the sites, by their names.
    """

    name = "vine-site"

    def __init__(self, near: Mapping[str, str]) -> None:
        self._near = dict(near)

    async def setup(self, worker: Worker) -> None:
        """Set up a worker that has found the scheduler."""
        site = site_of(worker.state.total_resources)
        if not getattr(worker, "is_proxy", False):  # which is in the client's process, and its tasks run elsewhere
            dask.config.set({"cachingclient.site": site})
            process().near = self._near.get(site or "")
        worker.transfer_outgoing_log = log = Sent(worker.transfer_outgoing_log)
        worker.metrics["bytes_sent"] = lambda _: dict(log.bytes_to)
        limit = worker.memory_manager.memory_limit
        if limit and "memory" not in worker.state.total_resources:
            await worker.set_resources(memory=limit)


class Sent(deque[dict[str, Any]]):
    """dask's log of what a worker sent, which also adds up the bytes that went on the wire to each other worker.

    Examples
    --------
    >>> log = Sent(deque(maxlen=1))
    >>> for _ in range(3):
    ...     log.append({"who": "tcp://10.0.0.1:1", "compressed": 40, "total": 100})
    >>> log.bytes_to["tcp://10.0.0.1:1"], len(log)
    (120, 1)
    """

    def __init__(self, log: deque[dict[str, Any]]) -> None:
        super().__init__(log, log.maxlen)
        self.bytes_to: Counter[str] = Counter()

    def append(self, entry: dict[str, Any]) -> None:
        """Add an entry."""
        super().append(entry)
        who = entry.get("who")
        if isinstance(who, str):  # None is the scheduler, which gathers for a client
            self.bytes_to[who] += int(entry.get("compressed") or entry.get("total") or 0)
