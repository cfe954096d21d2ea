"""What the page on workers on the grid says of a head that goes away without a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.support.waiting import ended, until

ROOT = Path(__file__).parents[3]
HEAD = """
import signal, sys
from pathlib import Path
from cachingclient.dirac import DiracCluster, Environment
from tests.dirac.jobs_here import JobsHere

if __name__ == "__main__":
    with JobsHere(Path(sys.argv[1])) as api:
        here = {"environment": Environment(sys.executable), "poll": 0.2, "death_timeout": 2}
        cluster = DiracCluster(server=api, n_workers=2, **here)
        cluster.wait_for_workers(2)
        print(*(process.pid for process in api.processes.values()), flush=True)
        signal.pause()
"""


def test_workers_end_by_themselves_once_the_head_is_gone(tmp_path: Path) -> None:
    """Nobody kills their jobs: they end after `death_timeout` seconds with all that they run, and so does the relay."""
    (tmp_path / "head.py").write_text(HEAD)
    command = [sys.executable, str(tmp_path / "head.py"), str(tmp_path / "jobs")]
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    ) as head:
        assert head.stdout is not None
        jobs = head.stdout.readline().split()
        assert len(jobs) == 2
        started = psutil.Process(head.pid).children(recursive=True)
        assert {str(each.pid) for each in started} > set(jobs)
        head.send_signal(signal.SIGKILL)
        try:
            until(lambda: ended(started), "all has ended")
        finally:
            for each in started:
                if each.is_running():
                    each.kill()
