"""Workers that are processes here: as many as are wanted, replaced when they end, and gone at the end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from cachingclient.vine.engines.pool.workers import LocalWorkers
from tests.support.waiting import ended, until


def test_a_worker_that_ends_is_replaced(tmp_path: Path) -> None:
    """Killed with all that it started, and another takes its place."""
    workers = LocalWorkers(["sh", "-c", "sleep 600 & sleep 601"], tmp_path, {})
    try:
        workers.resize(1)
        until(
            lambda: workers.count(0) == 1 and len(psutil.Process(workers.processes[0].pid).children()) == 2, "a worker"
        )
        first = workers.processes[0].pid
        started = psutil.Process(first).children()
        os.kill(first, signal.SIGKILL)
        until(lambda: workers.processes and workers.processes[0].pid != first, "another worker")
        until(lambda: ended(started), "the end of what the first had started")
    finally:
        workers.stop()
    assert workers.count(0) == 0


def test_workers_that_end_at_once_are_given_up(tmp_path: Path) -> None:
    """What they said is in the trouble that is told."""
    workers = LocalWorkers(["sh", "-c", "echo no licence; exit 3"], tmp_path, {})
    try:
        workers.resize(1)
        until(workers.trouble, "the site is given up")
        assert "no licence" in str(workers.trouble())
    finally:
        workers.stop()
