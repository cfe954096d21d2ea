"""Engine ``workqueue``: the pool is one of Work Queue, which Debian has."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import ClassVar

from cachingclient.vine.engine import EngineMissing
from cachingclient.vine.pool.commands import Door, Programs, make_workers
from cachingclient.vine.pool.engine import PoolEngine
from cachingclient.vine.pool.workers import Workers
from cachingclient.vine.sites import Site

PROGRAMS = Programs(
    worker="work_queue_worker",
    factory="work_queue_factory",
    systems={
        "factory": "local",
        "htcondor": "condor",
        "lsf": "lsf",
        "pbs": "pbs",
        "sge": "sge",
        "slurm": "slurm",
        "torque": "torque",
    },
)
SERVING = ("python3", "-m", "cachingclient.vine.pool.serving")


class WorkQueueEngine(PoolEngine):
    """A pool of Work Queue.

    Parameters
    ----------
    host
        Where workers find the manager.
    project
        A name under which the manager is listed in the catalogue, for ``work_queue_status``; None lists it nowhere.
    catalogue
        The catalogue's ``host:port``; None for the library's own.
    monitor
        Measure each task with ``resource_monitor``, and end it when it takes more than it asked for. Each task then
        starts a Python of its own.
    folder
        Where logs and values on their way are kept; None for a temporary folder.

    Notes
    -----
    Workers prove that they know a password, but what goes over the wire is not encrypted: Work Queue as Debian has it
    knows no TLS. The manager listens on every interface.
    """

    name: ClassVar[str] = "workqueue"
    backend: ClassVar[str] = "cachingclient.vine.pool.workqueue:WorkQueueBackend"

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        project: str | None = None,
        catalogue: str | None = None,
        monitor: bool = False,
        folder: str | Path | None = None,
    ) -> None:
        super().__init__(folder=folder, host=host, project=project, catalogue=catalogue, monitor=monitor)
        self.monitor = monitor

    @classmethod
    def check(cls) -> None:
        """Look for the library and its worker."""
        try:
            importlib.import_module("work_queue")
        except ImportError as error:
            raise EngineMissing(
                "engine workqueue needs the module work_queue: apt-get install python3-workqueue coop-computing-tools; "
                f"docs/engines.md says how a virtual environment finds it ({error})"
            ) from error
        if shutil.which(PROGRAMS.worker) is None:
            raise EngineMissing(f"engine workqueue needs {PROGRAMS.worker}: apt-get install coop-computing-tools")

    @property
    def logs(self) -> Path:
        """The folder of the manager's logs: ``stats.log``, ``transactions.log``, and ``monitor`` if it measures."""
        return self.folder

    def workers_of(self, site: Site, folder: Path, door: Door) -> Workers:
        """Return what starts a site's workers. On this machine each has a process ready for its tasks."""
        return make_workers(PROGRAMS, site, folder, door, options=(), before=() if self.monitor else SERVING)
