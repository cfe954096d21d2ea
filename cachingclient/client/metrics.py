"""Hits, and misses by their reason, for Prometheus: of all graphs that this process sent.

They are on dask's page ``/metrics`` where the scheduler is in the client's process, as that of a `LocalCluster` or a
`VineCluster` is; elsewhere ``prometheus_client.start_http_server`` shows them.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from cachingclient.plan.plan import Plan
from cachingclient.plan.record import StepRecord
from cachingclient.plan.steps import Action, PlannedStep
from cachingclient.plan.unkept import ONLY_READS
from cachingclient.storage import PruneReport

PLANNED = {Action.LOAD: "load", Action.PRUNED: "not needed", Action.HELD: "held", Action.RUN: "run"}
FAMILIES = {
    "planned": ("Steps of graphs that were sent, by what was to be done about them.", ("store", "action")),
    "misses": ("Steps that had to run, by the reason why nothing was loaded.", ("store", "reason")),
    "steps": ("Steps that workers told of, by what they did.", ("store", "step", "action")),
    "saved_seconds": ("Seconds that loaded results had taken to compute.", ("store", "step")),
    "kept_bytes": ("Bytes of results that were kept.", ("store", "step")),
    "loaded_bytes": ("Bytes of results that were loaded.", ("store", "step")),
    "pruned_entries": ("Entries that were removed to keep a store within its size limit.", ("store",)),
    "pruned_bytes": ("Bytes that were freed to keep a store within its size limit.", ("store",)),
}


class CacheMetrics:
    """Counts what graphs did. Used from several threads.

    Examples
    --------
    >>> metrics = CacheMetrics()
    >>> metrics.recorded("memory://docs", [StepRecord("fill-1", "fill", "ran", 1.5, 4096, True)])
    >>> metrics.counts["kept_bytes"]
    Counter({('memory://docs', 'fill'): 4096})
    """

    def __init__(self) -> None:
        self.counts: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in FAMILIES}
        self._lock = threading.Lock()
        self._registered = False

    def planned(self, store: str, plan: Plan) -> None:
        """Count what a plan says, once it is sent."""
        found, misses = dict.fromkeys(PLANNED, 0), dict[str, int]()  # a Counter costs a graph of one step more
        for step in plan.steps.values():
            if step.action in found:
                found[step.action] += 1
            if step.action is Action.RUN:
                reason = _reason(plan, step)
                misses[reason] = misses.get(reason, 0) + 1
        with self._lock:
            for action, count in found.items():
                self.counts["planned"][store, PLANNED[action]] += count
            for reason, count in misses.items():
                self.counts["misses"][store, reason] += count
        self._register()

    def recorded(self, store: str, records: Iterable[StepRecord]) -> None:
        """Count what workers told."""
        with self._lock:
            for record in records:
                self.counts["steps"][store, record.name, record.action] += 1
                if record.kept:
                    self.counts["kept_bytes"][store, record.name] += record.nbytes
                if record.action != "ran":
                    self.counts["saved_seconds"][store, record.name] += record.saved  # type: ignore[assignment]
                    self.counts["loaded_bytes"][store, record.name] += record.nbytes

    def pruned(self, store: str, report: PruneReport) -> None:
        """Count what was removed to make room."""
        with self._lock:
            self.counts["pruned_entries"][store,] += report.entries
            self.counts["pruned_bytes"][store,] += report.nbytes
        self._register()

    def _register(self) -> None:
        """Be on the page, if there is one: who has a page has imported the library."""
        if self._registered or "prometheus_client" not in sys.modules:
            return
        from prometheus_client import REGISTRY

        with self._lock:
            registered, self._registered = self._registered, True
        if not registered:
            REGISTRY.register(self)

    def describe(self) -> list[Any]:
        """Nothing is counted for being registered."""
        return []

    def collect(self) -> Iterator[Any]:
        """Return the counts of now, as prometheus_client asks for them."""
        from prometheus_client.core import CounterMetricFamily

        with self._lock:
            counts = {name: dict(found) for name, found in self.counts.items()}
        for name, (text, labels) in FAMILIES.items():
            family = CounterMetricFamily(f"cachingclient_{name}", text, labels=labels)
            for values, count in counts[name].items():
                family.add_metric(values, count)
            yield family


METRICS = CacheMetrics()
"""Those of this process."""


def _reason(plan: Plan, step: PlannedStep) -> str:
    """Return why a step runs, as one of a few: a label must not take more values than can be drawn."""
    if step.key in plan.lost:
        return "entry lost"
    if step.step_key is None:
        return "no identity"
    if step.unkept and step.unkept != ONLY_READS:
        return "cache=False"
    if step.step_key in plan.unanswered:
        return "no answer"
    if step.miss:
        return "made in other surroundings"
    return "not in the store"
