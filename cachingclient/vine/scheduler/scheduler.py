"""The scheduler of a `VineCluster`: dask's own, which also knows the sites of its workers."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import time
from typing import Any

from dask.typing import Key
from distributed import Scheduler, WorkerPlugin
from distributed.protocol.pickle import dumps
from distributed.scheduler import TaskState, WorkerState, _task_slots_available
from tornado.ioloop import PeriodicCallback

from cachingclient.vine.engine import SiteStats
from cachingclient.vine.scheduler.estimates import Estimate, memory_to_ask
from cachingclient.vine.scheduler.monitor import Monitor
from cachingclient.vine.scheduler.placement import Placement
from cachingclient.vine.scheduler.requirements import restrictions, unknown_sites, why_not
from cachingclient.vine.sites import site_of
from cachingclient.vine.worker_plugin import SitePlugin
from cachingclient.warn_once import CacheWarning

ACROSS = 8.0
"""How many times dearer a byte is that crosses to another site."""
RELUCTANCE = 0.5
"""Seconds that a task must win before it is taken to another site than its inputs': its result has to come back."""
WARN_EVERY = 2.0
"""Seconds between two looks at the tasks that no worker can run."""
_ASKING = frozenset({"needs", "resources", "site"})
"""The annotations by which a task asks for a worker."""

logger = logging.getLogger("distributed.scheduler")


class VineScheduler(Scheduler):
    """A scheduler that weighs what crosses between sites, and takes ``dask.annotate(site=...)``.

    Parameters
    ----------
    sites
        The names of the sites that tasks may be pinned to; none of them to take any.
    near
        The URLs of the stores near the sites, by their names.
    log
        A file for the log of transactions.
    worker_plugins
        Plugins for its workers, by their names.
    pool_stats
        Gives the counts of sites whose workers are a pool of another engine.
    **kwargs
        Other options of `distributed.Scheduler`.
    """

    def __init__(
        self,
        *,
        sites: Sequence[str] = (),
        near: Mapping[str, str] | None = None,
        log: Path | None = None,
        worker_plugins: Mapping[str, WorkerPlugin] | None = None,
        pool_stats: Callable[[], dict[str, SiteStats]] = dict,
        **kwargs: Any,
    ) -> None:
        self.placement = Placement()
        self.sites = tuple(sites)
        self.pool_stats = pool_stats
        self.estimates: dict[str, Estimate] = {}
        self._asking: TaskState | None = None
        self._warned: set[tuple[str, ...]] = set()
        self._threads: dict[str, int] | None = None
        self._counted = 0, 0
        self._site_of: dict[WorkerState, str | None] = {}
        super().__init__(**kwargs)
        self.observer = Monitor(self, list(sites), log)
        self.add_plugin(self.observer)
        self.observer.metrics.register()
        for plugin_name, plugin in {SitePlugin.name: SitePlugin(near or {}), **(worker_plugins or {})}.items():
            self.worker_plugins[plugin_name] = dumps(plugin)
        self.periodic_callbacks["vine-waiting"] = PeriodicCallback(self.check_what_waits, WARN_EVERY * 1000)

    def site_of(self, worker: WorkerState) -> str | None:
        """Return the site of a worker."""
        if worker not in self._site_of:
            self._site_of[worker] = site_of(worker.resources)
        return self._site_of[worker]

    def threads(self) -> dict[str, int]:
        """Return how many threads each site has now; those of no site are under the empty name."""
        count = len(self.running), self.total_nthreads  # a worker counts some time after it was added
        if self._threads is None or self._counted != count:
            found: Counter[str] = Counter()
            for worker in self.running:
                found[self.site_of(worker) or ""] += worker.nthreads
            self._threads, self._counted = dict(found), count
        return self._threads

    async def add_worker(self, comm: Any, **kwargs: Any) -> None:
        """Count a new worker in."""
        self._threads = None
        await super().add_worker(comm, **kwargs)

    async def remove_worker(self, address: str, **kwargs: Any) -> Any:
        """Count a worker out."""
        self._threads = None
        if address in self.workers:
            self._site_of.pop(self.workers[address], None)
        return await super().remove_worker(address, **kwargs)

    def handle_worker_status_change(self, *args: Any, **kwargs: Any) -> None:
        """Count workers that run, and no others."""
        self._threads = None
        super().handle_worker_status_change(*args, **kwargs)

    def resize_worker(self, address: str, nthreads: int) -> None:
        """Take a worker to have another number of threads: a proxy, whose site was made larger or smaller."""
        worker = self.workers.get(address)
        if worker is not None:
            self._threads = None
            self.total_nthreads += nthreads - worker.nthreads
            worker.nthreads = nthreads
            self.check_idle_saturated(worker)

    def heartbeat_worker(self, *, address: str, metrics: dict[str, Any], **kwargs: Any) -> Any:
        """Take the counts of bytes that a worker sent to others."""
        self.observer.heard(address, metrics)
        return super().heartbeat_worker(address=address, metrics=metrics, **kwargs)

    # ---- where a graph begins ----

    def _set_priorities(self, *, tasks: set[TaskState], **kwargs: Any) -> None:  # type: ignore[override]
        """Once a new graph has its order, share out the tasks that it begins with."""
        super()._set_priorities(tasks=tasks, **kwargs)
        threads = self.threads()
        if len(threads) > 1:
            self.placement.divide((ts for ts in tasks if ts.state == "released" and _begins(ts)), threads, _home_of)

    def decide_worker_rootish_queuing_enabled(self) -> WorkerState | None:
        """Return a worker with a free slot at the home of the task that is asked for; None to have it wait."""
        ts = self._asking
        assert ts is not None, "a transition to processing that is not in the table below"
        home = self.placement.of(ts)
        threads = self.threads()
        if home not in threads:
            home = min(threads, key=lambda site: self._load_of(site) / threads[site], default="")
        free = [ws for ws in self.idle_task_count if (self.site_of(ws) or "") == home]
        if free:
            return min(free, key=lambda ws: len(ws.processing) / ws.nthreads)
        self.placement.wait(ts, home)
        return None

    def _load_of(self, site: str) -> int:
        return sum(len(ws.processing) for ws in self.running if (self.site_of(ws) or "") == site)

    def decide_worker_non_rootish(self, ts: TaskState) -> WorkerState | None:
        """Return the best worker; for a task without inputs or restrictions, one at its home."""
        home = self.placement.of(ts)
        if home is not None and not ts.dependencies and self.valid_workers(ts) is None:
            near = [ws for ws in self.running if self.site_of(ws) == (home or None)]
            if near:
                return min(near, key=lambda ws: (ws.occupancy / ws.nthreads, len(ws.processing)))
        return super().decide_worker_non_rootish(ts)

    def stimulus_queue_slots_maybe_opened(self, *, stimulus_id: str) -> None:
        """Fill free slots, each with the next task of its own site."""
        if not self.queued:
            self.placement.forget_waiting()
            return
        threads = self.threads()
        free: Counter[str] = Counter()
        for ws in self.idle_task_count:
            free[self.site_of(ws) or ""] += _task_slots_available(ws, self.WORKER_SATURATION)
        for site, slots in free.items():
            for _ in range(slots):
                ts = self.placement.take(site, threads)
                if ts is not None:
                    self.transitions({ts.key: "processing"}, stimulus_id)

    # ---- what crosses ----

    def get_comm_cost(self, ts: TaskState, ws: WorkerState) -> float:
        """Estimate the seconds it takes to bring a task's inputs to a worker."""
        site = self.site_of(ws)
        missing = [dts for dts in ts.dependencies if dts not in ws.has_what]
        far = [dts for dts in missing if not any(self.site_of(each) == site for each in dts.who_has or ())]
        nbytes = sum(dts.get_nbytes() for dts in missing) + (ACROSS - 1) * sum(dts.get_nbytes() for dts in far)
        away = bool(far) or _home_of(ts) not in (None, site)
        return nbytes / self.bandwidth + (RELUCTANCE if away else 0.0)

    def _task_to_msg(self, ts: TaskState) -> dict[str, Any]:
        """Tell a worker to fetch inputs from its own site where that has them."""
        message = super()._task_to_msg(ts)
        assert ts.processing_on is not None
        site = self.site_of(ts.processing_on)
        for dts in ts.dependencies:
            near = tuple(ws.address for ws in dts.who_has or () if self.site_of(ws) == site)
            if near:
                message["who_has"][dts.key] = near
        return message

    # ---- sites and resources that the user asks for ----

    def _create_taskstate_from_graph(self, **kwargs: Any) -> Any:
        """Refuse a graph that asks for something that has no sense, before any of it is taken."""
        by_type, for_all = kwargs["annotations_by_type"], kwargs["global_annotations"] or {}
        asked = {key for kind in _ASKING for key in by_type.get(kind, ())}
        for key in asked or list(kwargs["dsk"])[:1]:
            own = {kind: by_type[kind][key] for kind in _ASKING if key in by_type.get(kind, ())}
            unknown = unknown_sites(restrictions(_for_key(for_all, key) | own), self.sites) if self.sites else []
            if unknown:
                raise ValueError(f"there is no site {unknown[0]!r}; the sites are {', '.join(self.sites)}")
        return super()._create_taskstate_from_graph(**kwargs)

    def _apply_annotations(  # type: ignore[override]  # up to 2025.3 there are none for the whole graph
        self, tasks: Any, annotations_by_type: dict[str, dict[Key, Any]], **for_all: Any
    ) -> set[Key]:
        tasks = list(tasks)
        annotated = super()._apply_annotations(tasks, annotations_by_type, **for_all)
        for ts in tasks:
            if ts.annotations and not ts.annotations.keys().isdisjoint(_ASKING):
                ts.resource_restrictions = restrictions(ts.annotations) or None
            if self.estimates and (estimate := self.estimates.get(ts.prefix.name)) is not None:
                self._expect(ts, estimate)
        return annotated

    def _expect(self, ts: TaskState, estimate: Estimate) -> None:
        """Expect a step to take the time and memory of before, unless the user or this scheduler has newer figures."""
        if ts.prefix.duration_average < 0:
            ts.prefix.duration_average = estimate.seconds
        asked = ts.resource_restrictions or {}
        if "memory" in asked or not estimate.memory:
            return
        memory, warning = memory_to_ask(estimate, [ws.resources for ws in self.workers.values()])
        if memory is not None:
            ts.resource_restrictions = {**asked, "memory": memory}
        if warning and (ts.prefix.name, "memory") not in self._warned:
            self._warned.add((ts.prefix.name, "memory"))
            self._warn_clients(f"step {ts.prefix.name} {warning}")

    def check_what_waits(self) -> None:
        """Start tasks that a worker can run by now; warn the clients, once a step, of those that none ever can."""
        runnable = [ts for ts in self.unrunnable if self.valid_workers(ts)]
        if runnable:
            self.transitions({ts.key: "processing" for ts in runnable}, f"workers-offer-more-{time()}")
        for ts in self.unrunnable:
            asked = ts.resource_restrictions
            if not asked or (ts.prefix.name, *sorted(asked)) in self._warned:
                continue
            why = why_not(asked, [ws.resources for ws in self.workers.values()])
            if why is not None:
                self._warned.add((ts.prefix.name, *sorted(asked)))
                self._warn_clients(f"task {ts.prefix.name} waits: {why}")

    def _warn_clients(self, text: str) -> None:
        logger.warning("%s", text)
        self.log_event("warn", {"message": dumps(text), "category": dumps(CacheWarning)})


def _for_key(annotations: Mapping[str, Any], key: Key) -> dict[str, Any]:
    """Return the annotations of a whole graph as they are for one key: some are functions of it."""
    return {kind: value(key) if callable(value) else value for kind, value in annotations.items() if kind in _ASKING}


def _saying_for_which(transition: Callable[..., Any]) -> Callable[..., Any]:
    """Return a transition that notes its task: dask asks for a worker for a queued task without saying for which."""

    def noting(scheduler: VineScheduler, key: Key, *args: Any, **kwargs: Any) -> Any:
        scheduler._asking = scheduler.tasks[key]
        return transition(scheduler, key, *args, **kwargs)

    return noting


_TABLE: dict[Any, Any] = dict(Scheduler._TRANSITIONS_TABLE)
for _states in (("waiting", "processing"), ("queued", "processing")):
    _TABLE[_states] = _saying_for_which(_TABLE[_states])
VineScheduler._TRANSITIONS_TABLE = _TABLE


def _home_of(ts: TaskState) -> str | None:
    """Return the site that a task was annotated to be at home at: where the entry is that it loads."""
    home: str | None = (ts.annotations or {}).get("home")
    return home


def _begins(ts: TaskState) -> bool:
    """Tell whether a task can run as soon as its graph arrives."""
    return all(dts.state == "memory" or dts.run_spec is None for dts in ts.dependencies)
