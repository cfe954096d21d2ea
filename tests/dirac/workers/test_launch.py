"""What a job runs ends when it is told to, whatever its worker does."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from cachingclient.dirac.workers import launch
from tests.support.waiting import until

DEAF = (
    "import pathlib, signal; signal.signal({signal}, signal.SIG_IGN); pathlib.Path({ready!r}).touch(); signal.pause()"
)


@pytest.mark.parametrize(
    ("ignored", "ends_by"), [("signal.SIGHUP", signal.SIGTERM), ("signal.SIGTERM", signal.SIGKILL)]
)
def test_a_worker_that_does_not_listen_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ignored: str, ends_by: signal.Signals
) -> None:
    """dask's worker can hang in its end; a batch system would wait for it, and so would the site's slot."""
    monkeypatch.setattr(launch, "MERCY", 60.0 if ends_by == signal.SIGTERM else 0.1)
    ready = tmp_path / "ready"
    command = [sys.executable, "-c", DEAF.format(signal=ignored, ready=str(ready))]

    async def run() -> int:
        working = asyncio.create_task(launch._work(command, []))
        await asyncio.to_thread(until, ready.exists)
        os.kill(os.getpid(), signal.SIGTERM)
        return await working

    assert asyncio.run(run()) == -ends_by
