"""The counts of a cluster by site, samples of them over time, and the log of the cluster's transactions."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from dask.typing import Key
from distributed import Scheduler, SchedulerPlugin
from distributed.scheduler import WorkerState
from tornado.ioloop import PeriodicCallback

from cachingclient.vine.engine import SiteStats
from cachingclient.vine.report.metrics import SiteMetrics
from cachingclient.vine.report.table import SiteRow, SiteTable
from cachingclient.vine.sites import site_of

SAMPLE_EVERY = 0.5
"""Seconds between two samples, at the start."""
MOST_SAMPLES = 2000
"""When there are more, every other one is forgotten, and from then on half as many are taken."""
NOWHERE = ""
"""The site of workers that belong to none, and of tasks that wait for any."""


class Monitor(SchedulerPlugin):
    """Counts what happens at each site.

    Parameters
    ----------
    scheduler
        The `VineScheduler` that it is a plugin of.
    sites
        Names of the sites, which are shown even if they never have a worker.
    log
        A file for the transactions; see `write`.
    """

    name = "vine"

    def __init__(self, scheduler: Any, sites: list[str], log: Path | None = None) -> None:
        self.scheduler = scheduler
        self.samples: deque[tuple[float, SiteTable]] = deque()
        self._sites = {name: Counter[str]() for name in sites}
        self._place: dict[str, str] = {}  # of every worker ever, by its address
        self._threads: dict[str, int] = {}
        self._told: dict[str, dict[str, int]] = {}  # what each worker sent to whom, as last heard
        self._log: TextIO | None = log.open("a", buffering=1 << 16) if log is not None else None
        self._moved = Counter[tuple[str, str]]()  # bytes by the sites that they went from and to
        self._sampler = PeriodicCallback(self.sample, SAMPLE_EVERY * 1000)
        self.metrics = SiteMetrics(scheduler.id, self.stats, self._moved.copy)
        self.write("cluster", state="started", sites=sites)
        self._sampler.start()

    # ---- the log ----

    def write(self, event: str, **more: Any) -> None:
        """Write one line of the log: a JSON object with the time, the event and what belongs to it."""
        if self._log is not None:
            self._log.write(json.dumps({"time": round(time.time(), 6), "event": event, **more}, default=str) + "\n")

    # ---- events of the scheduler ----

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Note a worker that came."""
        state = scheduler.workers[worker]
        self._place[worker] = site_of(state.resources) or NOWHERE
        self._threads[worker] = state.nthreads
        self._sites.setdefault(self._place[worker], Counter())
        self.write(
            "worker", state="came", worker=worker, name=state.name, site=self._place[worker], threads=state.nthreads
        )

    def remove_worker(self, scheduler: Scheduler, worker: str, **kwargs: Any) -> None:
        """Note a worker that left or was lost."""
        site, threads = self._place.get(worker, NOWHERE), self._threads.pop(worker, 0)
        self.write("worker", state="left", worker=worker, site=site, threads=threads)

    def heard(self, worker: str, metrics: dict[str, Any]) -> None:
        """Add the bytes that a worker sent to others since its last message."""
        sent = metrics.get("bytes_sent")
        if not isinstance(sent, dict):
            return
        before = self._told.get(worker, {})
        here = self._place.get(worker, NOWHERE)
        for other, nbytes in sent.items():
            new = nbytes - before.get(other, 0)
            there = self._place.get(other)
            if new > 0 and there is not None:
                self._sites[there]["within" if there == here else "across"] += new
                self._moved[here, there] += new
                self.write("transfer", source=here, site=there, bytes=new)
        self._told[worker] = dict(sent)

    def transition(
        self, key: Key, start: str, finish: str, *args: Any, worker: str | None = None, **kwargs: Any
    ) -> None:
        """Count a task that ran, and log what becomes of it."""
        if start == "processing" and finish in ("memory", "erred"):
            place = self._place.get(worker or "", NOWHERE)
            self._sites.setdefault(place, Counter())["done" if finish == "memory" else "failed"] += 1
        if self._log is not None:
            task = self.scheduler.tasks.get(key)
            if task is not None and task.processing_on is not None:
                worker = task.processing_on.address
            self.write("task", key=key, state=finish, before=start, site=self._place.get(worker or "", NOWHERE))

    async def close(self) -> None:
        """Write what waits to be written."""
        self._sampler.stop()
        self.metrics.unregister()
        if self._log is not None:
            self.write("cluster", state="closed")
            self._log.close()
            self._log = None

    # ---- tables and samples ----

    def stats(self) -> dict[str, SiteStats]:
        """Return the counts of each site."""
        now = {name: Counter[str]() for name in self._sites}
        for worker in self.scheduler.workers.values():
            count = now.setdefault(self._place.get(worker.address, NOWHERE), Counter())
            count["workers"] += 1
            count["running"] += min(len(worker.processing), worker.nthreads)
            count["given"] += len(worker.processing)
        held = Counter(self.scheduler.placement.counts())
        held.update(site_of(task.resource_restrictions or {}) or NOWHERE for task in self.scheduler.unrunnable)
        pools: dict[str, SiteStats] = self.scheduler.pool_stats()
        found = {}
        for name in {**now, **held}:
            count = now.get(name, Counter())
            stats = pools.get(name) or _stats(count, self._sites.get(name, Counter()))
            found[name] = replace(stats, waiting=max(count["given"] - stats.running, 0) + held[name])
        return found

    def table(self) -> SiteTable:
        """Return the counts as a table."""
        rows = []
        for name, stats in self.stats().items():
            workers: list[WorkerState] = [
                each for each in self.scheduler.workers.values() if self._place.get(each.address, NOWHERE) == name
            ]
            if name != NOWHERE or stats != SiteStats():
                threads = sum(each.nthreads for each in workers)
                memory = sum(int(each.metrics.get("memory", 0)) for each in workers)
                rows.append(SiteRow(name or "(any)", stats, threads, memory))
        blocked = sum(group.states["waiting"] for group in self.scheduler.task_groups.values())
        return SiteTable(tuple(rows), blocked)

    def sample(self) -> None:
        """Remember the counts of now."""
        self.samples.append((time.time(), self.table()))
        if self._log is not None:
            self._log.flush()
        if len(self.samples) > MOST_SAMPLES:
            self.samples = deque(list(self.samples)[::2])
            self._sampler.stop()
            self._sampler = PeriodicCallback(self.sample, self._sampler.callback_time * 2)
            self._sampler.start()


def _stats(now: Counter[str], ever: Counter[str]) -> SiteStats:
    return replace(
        SiteStats(workers=now["workers"], running=now["running"]),
        done=ever["done"],
        failed=ever["failed"],
        bytes_within=ever["within"],
        bytes_across=ever["across"],
    )


def samples_of(dask_scheduler: Any) -> list[tuple[float, SiteTable]]:
    """Return the samples of a scheduler, and its counts of now; run on the scheduler.

    Raises
    ------
    RuntimeError
        If it has no sites.
    """
    observer = getattr(dask_scheduler, "observer", None)
    if observer is None:
        raise RuntimeError("its scheduler is not that of a VineCluster or DiracCluster")
    observer.sample()
    return list(observer.samples)
