"""Engine ``taskvine``: the pool is one of TaskVine, whose workers keep results and pass them to each other."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from cachingclient.vine.engine import EngineMissing
from cachingclient.vine.engines.pool.commands import ManagerAddress, Programs, make_workers
from cachingclient.vine.engines.pool.engine import PoolEngine
from cachingclient.vine.engines.pool.modes import parse_modes
from cachingclient.vine.engines.pool.workers import Workers
from cachingclient.vine.extra_files import Given
from cachingclient.vine.sites import Site

PROGRAMS = Programs(
    worker="vine_worker",
    factory="vine_factory",
    systems={"factory": "local", "htcondor": "condor", "sge": "uge", "slurm": "slurm"},
)


class TaskVineEngine(PoolEngine):
    """A pool of TaskVine.

    Parameters
    ----------
    host
        Where workers find the manager.
    project
        A name under which the manager is listed in the catalogue, for ``vine_status``; None lists it nowhere.
    catalogue
        The catalogue's ``host:port``; None for the library's own.
    ssl
        Whether manager and workers speak TLS, with a certificate made for the occasion; or the files of a key and a
        certificate.
    environment
        A packed environment, as ``poncho_package_create`` makes, that tasks run in; workers keep it for ever.
    port
        Where the manager listens: a number, a range such as ``(9123, 9130)``, or 0 for any.
    resources_mode
        How TaskVine finds what tasks take: ``"max"``, ``"min waste"``, ``"max throughput"`` or ``"fixed"``, or a dict
        of these by the names of steps. Each task is then measured by the resource monitor in a Python of its own.
        None trusts what tasks ask for.
    extra_files
        Files that each task finds in its working folder: paths, or paths by names.
    replicas
        How many workers keep each result.
    folder
        Where logs and values on their way are kept; None for a temporary folder.
    """

    name: ClassVar[str] = "taskvine"
    backend: ClassVar[str] = "cachingclient.vine.engines.pool.taskvine_manager:TaskVineBackend"

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        project: str | None = None,
        catalogue: str | None = None,
        ssl: bool | tuple[str, str] = True,
        environment: str | Path | None = None,
        port: int | tuple[int, int] = 0,
        resources_mode: str | Mapping[str, str] | None = None,
        extra_files: Given = None,
        replicas: int = 1,
        folder: str | Path | None = None,
    ) -> None:
        modes = parse_modes(resources_mode)
        self.measures = bool(modes)
        super().__init__(
            folder=folder,
            host=host,
            port=port,
            extra_files=extra_files,
            project=project,
            catalogue=catalogue,
            ssl=ssl,
            environment=environment,
            modes=modes,
            replicas=replicas,
        )
        self.ssl = ssl

    @classmethod
    def check(cls) -> None:
        """Look for the library and its worker."""
        try:
            importlib.import_module("ndcctools.taskvine")
        except ImportError as error:
            raise EngineMissing(
                f"engine taskvine needs ndcctools: conda install -c conda-forge ndcctools ({error})"
            ) from error
        if shutil.which(PROGRAMS.worker) is None:
            raise EngineMissing(
                f"engine taskvine needs the program {PROGRAMS.worker}: activate the environment that has ndcctools"
            )

    @property
    def logs(self) -> Path:
        """The folder of the manager's logs: ``debug``, ``performance``, ``transactions`` and ``taskgraph``."""
        return Path(self.describe()["logs"])

    def workers_of(self, site: Site, folder: Path, address: ManagerAddress) -> Workers:
        """Return what starts a site's workers."""
        options = ["--ssl"] if self.ssl else []
        return make_workers(PROGRAMS, site, folder, address, options, environment=self.cluster.environment)
