"""The scheduler of a `VineCluster`: dask's own, which also knows the sites of its workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dask.typing import Key
from distributed import Scheduler
from distributed.scheduler import TaskState, WorkerState

from cachingclient.vine.sites import PREFIX, site_of


class VineScheduler(Scheduler):
    """A scheduler that takes ``dask.annotate(site=...)``."""

    def site_of(self, worker: WorkerState) -> str | None:
        """Return the site of a worker."""
        return site_of(worker.resources)

    def _apply_annotations(
        self,
        tasks: Any,
        annotations_by_type: dict[str, dict[Key, Any]],
        global_annotations: dict[str, Any] | None = None,
    ) -> set[Key]:
        tasks = list(tasks)
        annotated = super()._apply_annotations(tasks, annotations_by_type, global_annotations)
        for ts in tasks:
            if ts.annotations and "site" in ts.annotations:
                _pin(ts, ts.annotations)
        return annotated


def _pin(ts: TaskState, annotations: Mapping[str, Any]) -> None:
    """Bind a task to the site that it was annotated with."""
    ts.resource_restrictions = {**(ts.resource_restrictions or {}), f"{PREFIX}{annotations['site']}": 1}
