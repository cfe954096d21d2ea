"""A scheduler warns of workers and clients whose versions differ from its own, before they run or send a task."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from distributed import Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.versions import get_versions

from cachingclient.versions import TOLD, differences, own_version

logger = logging.getLogger(__name__)


class VersionCheck(SchedulerPlugin):
    """Warns, in the log and at every client, of workers and clients whose versions are not the scheduler's."""

    name = "cachingclient-versions"

    def __init__(self) -> None:
        self._said: set[str] = set()

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Compare a worker that connects."""
        state = scheduler.workers[worker]
        told = state.extra.get(TOLD) or {}
        self._compare(scheduler, "workers", f"worker {state.name}", state.versions, {TOLD: told.get("version")})

    def add_client(self, scheduler: Scheduler, client: str) -> None:
        """Compare a client that connects."""
        self._compare(scheduler, "clients", f"client {client}", scheduler.clients[client].versions, {})

    def _compare(
        self, scheduler: Scheduler, kind: str, who: str, versions: Mapping[str, Any], told: Mapping[str, Any]
    ) -> None:
        ours = {**get_versions()["packages"], TOLD: own_version()}
        found = differences(ours, {**versions.get("packages", {}), **told})
        text = ", ".join(f"{package} {theirs} instead of {own}" for package, (own, theirs) in found.items())
        if text and f"{kind}: {text}" not in self._said:
            self._said.add(f"{kind}: {text}")
            text = f"{who} has {text}, which is what the scheduler has; tasks may fail there"
            logger.warning(text)
            scheduler.log_event("warn", text)
