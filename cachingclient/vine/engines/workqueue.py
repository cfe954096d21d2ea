"""Engine ``workqueue``: the pool is one of Work Queue, which Debian has."""

from __future__ import annotations

import importlib
import ipaddress
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from cachingclient.vine.engine import EngineMissing
from cachingclient.vine.engines.pool.commands import ManagerAddress, Programs, make_workers
from cachingclient.vine.engines.pool.engine import PoolEngine
from cachingclient.vine.engines.pool.modes import parse_modes
from cachingclient.vine.engines.pool.runner import CREDENTIALS
from cachingclient.vine.engines.pool.workers import Workers
from cachingclient.vine.extra_files import Given
from cachingclient.vine.sites import Site
from cachingclient.worker.credentials import Contents, write_private

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
SERVING = ("python3", "-m", "cachingclient.vine.engines.pool.fork_server")


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
    port
        Where the manager listens: a number, a range such as ``(9123, 9130)`` of which the first free one is taken, or
        0 for any.
    monitor
        Measure each task with ``resource_monitor``, and end it when it takes more than it asked for. Each task then
        starts a Python of its own.
    resources_mode
        How Work Queue finds what tasks take of what they don't ask for: ``"max"``, ``"min waste"``, ``"max
        throughput"`` or ``"fixed"``, or a dict of these by the names of steps. It implies `monitor`.
    extra_files
        Files that each task finds in its working folder: paths, or paths by names.
    folder
        Where logs and values on their way are kept; None for a temporary folder.

    Notes
    -----
    Workers prove that they know a password, but what goes over the wire is not encrypted: Work Queue as Debian has it
    knows no TLS. The manager listens on every interface.
    """

    name: ClassVar[str] = "workqueue"
    backend: ClassVar[str] = "cachingclient.vine.engines.pool.workqueue_manager:WorkQueueBackend"

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        project: str | None = None,
        catalogue: str | None = None,
        port: int | tuple[int, int] = 0,
        monitor: bool = False,
        resources_mode: str | Mapping[str, str] | None = None,
        extra_files: Given = None,
        folder: str | Path | None = None,
    ) -> None:
        modes = parse_modes(resources_mode)
        self.measures = monitor or bool(modes)
        self._credentials: Contents = {}
        super().__init__(
            folder=folder,
            host=host,
            port=port,
            extra_files=extra_files,
            project=project,
            catalogue=catalogue,
            monitor=self.measures,
            modes=modes,
        )

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

    def start(self, cluster: Any) -> None:
        """Start the manager and the workers, with credentials for their tasks."""
        super().start(cluster)
        self._write_credentials()

    def deliver(self, credentials: Contents) -> None:
        """Give each task that is sent from now on these, as files.

        Raises
        ------
        ValueError
            If workers may be elsewhere: the protocol does not encrypt.
        """
        if not _is_here(self.host):
            raise ValueError(
                f"credentials: engine workqueue encrypts nothing, and its host {self.host} can be reached from "
                "elsewhere; take engine dask, or have the site give its workers credentials"
            )
        self._credentials = credentials
        if self._link is not None:
            self._write_credentials()

    def _write_credentials(self) -> None:
        folder = self.folder / CREDENTIALS
        folder.mkdir(mode=0o700, exist_ok=True)
        for variable, content in self._credentials.items():
            write_private(folder / variable, content)

    @property
    def logs(self) -> Path:
        """The folder of the manager's logs: ``stats.log``, ``transactions.log``, and ``monitor`` if it measures."""
        return self.folder

    def workers_of(self, site: Site, folder: Path, address: ManagerAddress) -> Workers:
        """Return what starts a site's workers. On this machine each has a process ready for its tasks."""
        before = () if self.measures else SERVING
        return make_workers(PROGRAMS, site, folder, address, (), before, self.cluster.environment)


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
