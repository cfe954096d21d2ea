"""`DiracCluster`: dask workers as jobs of DIRAC or DiracX, at the sites of the grid."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from distributed import Security
from distributed.deploy.cluster import Cluster
from distributed.deploy.spec import ProcessInterface

from cachingclient.dirac.workers.grid import Grid, make_grid
from cachingclient.dirac.workers.request import Request, WorkerJob
from cachingclient.scheduler.version_check import VersionCheck
from cachingclient.tunnel.certificates import make_security
from cachingclient.vine.engine import Spec
from cachingclient.vine.engines.pool.ports import checked_free
from cachingclient.vine.launch.launch import Head
from cachingclient.vine.scheduler.scheduler import VineScheduler
from cachingclient.vine.sites import PREFIX, Site

try:
    from dask_jobqueue import JobQueueCluster
except ImportError as error:
    raise ImportError(
        "DiracCluster needs dask-jobqueue: pip install 'cachingclient[dirac]'", name=error.name
    ) from error

logger = logging.getLogger(__name__)


class DiracJob(ProcessInterface):
    """One worker as a job, for `DiracCluster` and for sites of a `VineCluster`.

    Parameters
    ----------
    scheduler
        The scheduler's address.
    name
        The worker's name.
    grid
        The server, the tunnel and the environment that all of the cluster's jobs share.
    sites, label, nthreads, memory_limit, resources, tags
        As for `Request`.
    """

    worker_processes = 1
    replaces_itself = True
    """Its pool submits another job when one ends: the cluster need not."""

    def __init__(
        self,
        scheduler: str | None = None,
        name: str | None = None,
        *,
        grid: Grid,
        sites: Sequence[str] = (),
        label: str | None = None,
        nthreads: int = 1,
        memory_limit: str | int | None = None,
        resources: Mapping[str, float] | None = None,
        tags: Sequence[str] = (),
        **_: Any,
    ) -> None:
        super().__init__(scheduler, name)
        self.name, self.grid = str(name), grid
        self.request = Request(
            scheduler=str(scheduler),
            sites=tuple(sites),
            label=label,
            nthreads=nthreads,
            memory_limit=memory_limit,
            resources=tuple((resources or {}).items()),
            tags=tuple(tags),
        )

    @classmethod
    def default_config_name(cls) -> str:
        """Return where dask-jobqueue would look for settings."""
        return "dirac"

    def job_script(self) -> str:
        """Return the job's description, without what only its worker may know."""
        return self.grid.describe(self.request, []).describe("SB:...")

    async def start(self) -> None:
        """Have a job for this worker; it may have to wait for a long time, so this doesn't."""
        self.grid.pool.want(self.name, self.request)
        await super().start()

    async def close(self) -> None:
        """Cancel the job."""
        await self.grid.pool.drop(self.name)
        await super().close()


class DiracCluster(JobQueueCluster):
    """A cluster whose workers are jobs of DIRAC 8, DIRAC 9 or DiracX.

    Parameters
    ----------
    sites
        Where workers may run; empty for anywhere. Each worker has the resource ``site:NAME`` of where it is.
    n_workers
        How many workers to start with.
    nthreads, memory_limit
        Threads and memory of each worker; no `memory_limit` takes what the worker node has.
    resources
        Other resources of each worker, for tasks to ask for.
    tags
        Tags that sites must offer; each is a resource of the worker as well, such as ``GPU``.
    contact
        The name or address that workers dial, if that is another than where the scheduler listens.
    port, dashboard_address
        Where the scheduler and its dashboard listen.
    security
        Certificates; None makes some for this cluster. There is no way without.
    name, asynchronous, loop, silence_logs
        As for `distributed.LocalCluster`; the name is that of the job group too.
    **grid
        Options of the server, the jobs and the tunnel:

        server, vo, credentials
            As for `open_api`; the server may also be an open `DiracApi`.
        job
            Other options of the jobs, as for `Job`: ``cpu_time``, ``platform``, ``banned_sites``, ``memory``...
        environment
            The `Environment` that workers run in.
        host
            Where the scheduler and the tunnel listen; None for the address that the server sees.
        tunnel
            Whether workers can only dial out, as at most sites; False if the scheduler and workers can dial them.
        tunnel_port, tunnel_ports
            Where workers' agents connect, and the ports that workers may be given on this machine; any by default.
        worker_ports
            Without a tunnel, where workers listen: ``"50000:50100"``, or that by site, with ``"*"`` for the others.
        death_timeout
            Seconds without a scheduler or a tunnel after which a worker ends, and its job; 300 by default.
        local_directory
            Where workers put what does not fit their memory; None for the job's own folder.
        retries
            How many more jobs in a row a worker gets after one that came to nothing, before it is given up; 3 by
            default.
        pending_timeout
            Seconds that a job may wait before another is tried in its place; None for as long as it takes.
        poll
            Seconds between looking at the jobs; 10 by default.

    Raises
    ------
    DiracError
        If the server can't be reached, or does not take the credentials.

    Examples
    --------
    >>> with DiracCluster(["LCG.UKI-SOUTHGRID-RALPP.uk"]) as cluster:  # doctest: +SKIP
    ...     cluster.scale(100)
    ...     client = DiracClient(cluster)
    """

    job_cls = DiracJob

    def __init__(
        self,
        sites: Iterable[str] = (),
        *,
        n_workers: int = 0,
        nthreads: int = 1,
        memory_limit: str | int | None = None,
        resources: Mapping[str, float] | None = None,
        tags: Sequence[str] = (),
        contact: str | None = None,
        port: int = 0,
        dashboard_address: str | None = None,
        security: Security | None = None,
        name: str | None = None,
        asynchronous: bool = False,
        loop: Any = None,
        silence_logs: int | bool = logging.WARNING,
        **grid: Any,
    ) -> None:
        if isinstance(sites, str):
            raise ValueError(f"sites is {sites!r}; it takes a list of names")
        if contact is not None and not port:
            raise ValueError(f"port is {port!r}; with a contact it takes the port that workers dial there")
        security = security or make_security()
        self.grid = make_grid(security, group=name, contact=contact, **grid)
        try:
            super().__init__(
                n_workers=n_workers,
                loop=loop,
                security=security,
                shared_temp_directory="",
                silence_logs=silence_logs,
                name=self.grid.group,
                asynchronous=asynchronous,
                scheduler_options={
                    "sites": tuple(sites),
                    "host": self.grid.host,
                    "port": checked_free(port, self.grid.host),
                    "contact_address": f"tls://{contact}:{port}" if contact else None,
                    "dashboard": dashboard_address is not None,
                    "dashboard_address": dashboard_address or ":0",
                    "plugins": [VersionCheck()],
                },
                scheduler_cls=VineScheduler,
                interface="",
                protocol="tls://",
                grid=self.grid,
                sites=tuple(sites),
                nthreads=nthreads,
                memory_limit=memory_limit,
                resources={**dict.fromkeys(tags, nthreads), **(resources or {})},
                tags=tuple(tags),
            )
        except BaseException:
            self.grid.give_up()
            raise

    def _get_worker_security(self, security: Security) -> Security:
        return security  # it travels with the jobs, not through a shared folder

    def _update_worker_status(self, op: str, msg: Any) -> None:
        # A worker that leaves is not for the scheduler's side to replace: the pool sees what became of its job.
        Cluster._update_worker_status(self, op, msg)

    @property
    def jobs(self) -> list[WorkerJob]:
        """The workers' jobs: which wait, which run where, and why others don't."""
        return list(self.grid.pool.jobs.values())

    async def _close(self) -> None:
        await super()._close()
        await self.grid.close()


def site_spec(site: Site, cluster: Head) -> Spec:
    """Return how one worker of a `VineCluster`'s site is started as a job.

    Of the site's options, ``sites`` (the server's names for it; its own by default) and ``tags`` are the site's, and
    the others, as for `DiracCluster`, the server's; sites with the same server share it, and one tunnel.
    """
    options = {"environment": cluster.environment, **site.options}
    sites, tags = options.pop("sites", [site.name]), options.pop("tags", ())
    shared = f"dirac {sorted(options.items())!r}"
    if shared not in cluster.launchers:
        cluster.launchers[shared] = make_grid(cluster.security, **options)
    return {
        "cls": DiracJob,
        "options": {
            "grid": cluster.launchers[shared],
            "sites": sites,
            "label": site.name,
            "tags": tags,
            "nthreads": site.nthreads,
            "memory_limit": None if site.memory_limit == "auto" else site.memory_limit,
            "resources": {name: amount for name, amount in site.advertised.items() if name != f"{PREFIX}{site.name}"},
        },
    }
