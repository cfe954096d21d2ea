"""Which versions the client, the scheduler and the workers have, and where they differ: said before the first task."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distributed import Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.versions import get_versions

logger = logging.getLogger(__name__)

TOLD = "cachingclient"
"""Under what workers tell their version when they connect."""


@functools.cache
def own_version() -> str:
    """Return what tells this package from one with other code: a digest of its files."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the packages that both know of and have in different versions, with the two.

    Of Python only the first two numbers count: with others, functions can't be sent.

    Examples
    --------
    >>> differences({"python": "3.11.7", "dask": "2026.8.0"}, {"python": "3.11.9", "dask": "2026.7.0"})
    {'dask': ('2026.8.0', '2026.7.0')}
    >>> differences({"numpy": "2.4.6"}, {"numpy": None})
    {'numpy': ('2.4.6', 'none')}
    """

    def shown(versions: Mapping[str, Any], package: str) -> str:
        version = str(versions[package] or "none")
        return ".".join(version.split(".")[:2]) if package == "python" else version

    pairs = {package: (shown(ours, package), shown(theirs, package)) for package in ours if package in theirs}
    return {package: pair for package, pair in pairs.items() if pair[0] != pair[1]}


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
